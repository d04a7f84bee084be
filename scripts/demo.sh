#!/usr/bin/env bash
# From biomedical text to entities, relations and answers on the small data in samples/, in a few minutes on 2
# cores: `make demo`.
# Each command is the one that a real corpus takes, with small numbers. Results go to demo_output/.
set -euo pipefail
cd "$(dirname "$0")/.."
out=demo_output
rm -rf "$out"
mkdir -p "$out"

say() { printf '\n== %s\n' "$*"; }
run() { printf '$ %s\n' "$*"; "$@"; }

say "1/10 PubMed and PMC to text: one sentence a line, a blank line between documents"
run python -m data_prep.pubmed --input_file='samples/pubmed_sample.xml,samples/pubmed_update_sample.xml' \
  --output_file="$out/pubmed.txt"
run python -m data_prep.pmc --input_file=samples/pmc --output_file="$out/pmc.txt"

say "2/10 A WordPiece vocabulary learned on it, beside the one in samples/"
run python -m data_prep.build_vocab --input_file="$out/*.txt,samples/abstracts.txt" --output_file="$out/vocab.txt" \
  --vocab_size=1500 --do_lower_case=false --compare_vocab=samples/vocab.txt

say "3/10 All of it in one command: from files to shards of records, 15 % of the pieces masked"
run python -m data_prep.build_corpus --pubmed_files='samples/pubmed_sample.xml,samples/pubmed_update_sample.xml' \
  --pmc_files=samples/pmc --text_files=samples/abstracts.txt --text_format=sentences --output_dir="$out/shards" \
  --num_shards=2 --num_processes=2 --vocab_file=samples/vocab.txt --do_lower_case=false --max_seq_length=64 \
  --max_predictions_per_seq=10 --dupe_factor=5 --report

say "4/10 Pre-training: masked language model and next sentence prediction, from random weights"
run python run_pretraining.py --input_file="$out/shards/*.tfrecord" --output_dir="$out/pretraining" \
  --bert_config_file=samples/bert_config.json --do_train=true --do_eval=true --max_seq_length=64 \
  --max_predictions_per_seq=10 --train_batch_size=32 --num_train_steps=1000 --num_warmup_steps=100 \
  --learning_rate=1e-3 --max_eval_steps=50

say "5/10 Fine-tuning for named entity recognition, from the pre-trained weights"
model=(--vocab_file=samples/vocab.txt --bert_config_file=samples/bert_config.json --init_checkpoint="$out/pretraining"
  --do_lower_case=false --learning_rate=5e-4)
run python run_ner.py --do_train=true --do_eval=true --do_predict=true --data_dir=samples/ner \
  "${model[@]}" --output_dir="$out/ner" --max_seq_length=64 --num_train_epochs=15

say "6/10 Word-level predictions and their entity-level evaluation"
run python biocodes/ner_detokenize.py --token_test_path="$out/ner/token_test.txt" \
  --label_test_path="$out/ner/label_test.txt" --answer_path=samples/ner/test.tsv --output_dir="$out/ner"
printf '$ python biocodes/conlleval.py < %s/ner/NER_result_conll.txt\n' "$out"
python biocodes/conlleval.py <"$out/ner/NER_result_conll.txt"

say "7/10 A corpus of entities and relations to sentences, two entities anonymized in each"
mkdir -p "$out/relations"
for split in train test; do
  run python -m data_prep.relation_corpus --input_format=pubtator --input_file="samples/re/$split.pubtator" \
    --entity_types=Chemical,Gene --output_format="$split" --output_file="$out/relations/$split.tsv"
done

say "8/10 Fine-tuning for relation extraction, and its scores"
run python run_re.py --task_name=sample --do_train=true --do_predict=true --data_dir="$out/relations" \
  "${model[@]}" --output_dir="$out/re" --max_seq_length=64 --num_train_epochs=10

say "9/10 BioASQ's questions to questions with contexts, and fine-tuning for question answering"
mkdir -p "$out/questions"
for split in train:training test:golden; do
  run python -m data_prep.bioasq --input_file="samples/qa/${split#*:}.json" --question_type=factoid \
    --split="${split%:*}" --output_file="$out/questions/${split%:*}.json"
done
run python run_qa.py --do_train=true --do_predict=true --train_file="$out/questions/train.json" \
  --predict_file="$out/questions/test.json" "${model[@]}" --output_dir="$out/qa" --max_seq_length=128 \
  --train_batch_size=16 --num_train_epochs=20

say "10/10 Answers merged over the contexts of a question, and BioASQ's scores"
run python biocodes/transform_nbset2bioasqform.py --nbest_path="$out/qa/nbest_predictions.json" \
  --output_path="$out/qa"
python biocodes/bioasq_eval.py --golden_path=samples/qa/golden.json \
  --prediction_path="$out/qa/BioASQform_BioASQ-answer.json" | tee "$out/qa/bioasq_scores.txt"

run python -m reproduction.demo "$out"
