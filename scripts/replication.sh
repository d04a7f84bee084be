#!/usr/bin/env bash
# The paper's question in small, on 2 cores in under two hours: does pre-training on biomedical text help to find
# entities, and how much of it does? docs/replication.md has the outcome.
#
#   bash scripts/replication.sh TEXT DATA_DIR OUTPUT_DIR [--steps=750,1500,3000] [--percents=1,10,100] \
#       [--seeds=1,2,3] [--epochs=4] [--vocab_size=8000] [--encoder=MODEL_DIR] [--encoder_steps=600]
#
#   TEXT      biomedical abstracts, one a line, plain or compressed (.gz, .bz2, .xz)
#   DATA_DIR  with NCBI-disease, as python -m data_prep.download ner puts it
#
# A BERT of 2 layers x 256 with a vocabulary of its own is pre-trained on TEXT, and each of several checkpoints
# fine-tuned with three seeds: OUTPUT_DIR/figure2b.html. The same with percents of TEXT: OUTPUT_DIR/figure2a.html. With
# --encoder, an uncased model is pre-trained further on TEXT and compared with itself: OUTPUT_DIR/encoder/figure2b.html,
# some 75 minutes more for MiniLM. What is done is not done again; what was stopped goes on.
set -euo pipefail

fail() {
  printf 'error: %s; expected replication.sh TEXT DATA_DIR OUTPUT_DIR [--steps=750,1500,3000 ...]\n' "$1" >&2
  exit 1
}

steps=750,1500,3000 # checkpoints to fine-tune, multiples of 250; the last is the length of every training
percents=1,10,100   # of the text, for the curve over the size of the corpus
seeds=1,2,3
epochs=4 # of fine-tuning
vocab_size=8000
encoder= encoder_steps=600
paths=()
for argument in "$@"; do
  case $argument in
    --steps=*) steps=${argument#*=} ;;
    --percents=*) percents=${argument#*=} ;;
    --seeds=*) seeds=${argument#*=} ;;
    --epochs=*) epochs=${argument#*=} ;;
    --vocab_size=*) vocab_size=${argument#*=} ;;
    --encoder=*) encoder=$(realpath -m "${argument#*=}") ;;
    --encoder_steps=*) encoder_steps=${argument#*=} ;;
    -*) fail "$argument" ;;
    *) paths+=("$(realpath -m "$argument")") ;;
  esac
done
((${#paths[@]} == 3)) || fail "${#paths[@]} paths"
text=${paths[0]} data_dir=${paths[1]} out=${paths[2]} models=${paths[2]}/models
checkpoints=0,$steps
IFS=, read -ra steps <<<"$steps"
IFS=, read -ra percents <<<"$percents"
cd "$(dirname "${BASH_SOURCE[0]}")/.."

data=("--seeds=$seeds" --data_sets=ncbi_disease --nowith_paper)
small=("${data[@]}" -- "--num_train_epochs=$epochs" --learning_rate=2e-4)
length=(--max_seq_length=64 --max_predictions_per_seq=20)

run() {
  printf '$ %s\n' "$*"
  "$@"
}

# Makes the model $1 of the checkpoint $2.
make_model() {
  run python convert.py --checkpoint="$2" --input_dir="$models/0" --output_dir="$models/$1"
}

# Trains on the shards $1, in the directory $2.
pretrain() {
  run python run_pretraining.py --do_train=true --input_file="$1" --output_dir="$2" "${length[@]}" \
    --bert_config_file="$models/0/bert_config.json" --train_batch_size=32 --learning_rate=1e-3 \
    --num_train_steps="${steps[-1]}" --num_warmup_steps=300 --save_checkpoints_steps=250 --keep_checkpoint_every=250
}

mkdir -p "$out"
[[ -f $out/sentences.txt ]] ||
  run python -m data_prep.plain_text --input_file="$text" --text_format=lines --output_file="$out/sentences.txt"
[[ -f $out/vocab.txt ]] ||
  run python -m data_prep.build_vocab --input_file="$out/sentences.txt" --output_file="$out/vocab.txt" \
    --vocab_size="$vocab_size" --do_lower_case=true
run python -m data_prep.build_corpus --text_files="$out/sentences.txt" --text_format=sentences \
  --output_dir="$out/shards" --num_shards=100 --num_processes=2 --vocab_file="$out/vocab.txt" --do_lower_case=true \
  "${length[@]}" --masked_lm_prob=0.3 --dupe_factor=2

mkdir -p "$models/0" # without a checkpoint: random weights
sed "s/\"vocab_size\": [0-9]*/\"vocab_size\": $vocab_size/" configs/replication/bert_config.json \
  >"$models/0/bert_config.json"
cp "$out/vocab.txt" "$models/0"
pretrain "$out/shards/*.tfrecord" "$out/training"
for step in "${steps[@]}"; do
  make_model "$step" "$out/training/model.ckpt-$step"
done
run bash scripts/figure2b.sh "$models" "$data_dir" --models="$checkpoints" --output_dir="$out" "${small[@]}"

words=$(python -c 'import json, sys; print(json.load(open(sys.argv[1]))["corpora"]["text"]["words"])' \
  "$out/shards/manifest.json")
sizes=0
for percent in "${percents[@]}"; do
  size=$((words * percent / 100))
  [[ " ${steps[*]} " != *" $size "* ]] || fail "$percent % of the text: $size words, one of --steps too"
  sizes+=,$size
  if ((percent == 100)); then
    ln -sfn "${steps[-1]}" "$models/$size"
  else
    pretrain "$(ls "$out"/shards/*.tfrecord | head -n "$percent" | paste -sd,)" "$out/training_$percent"
    make_model "$size" "$out/training_$percent/model.ckpt-${steps[-1]}"
  fi
done
run bash scripts/figure2a.sh "$models" "$data_dir" --models="$sizes" --output_dir="$out" "${small[@]}"

[[ -n $encoder ]] || exit 0
length=(--max_seq_length=128 --max_predictions_per_seq=20)
run python -m data_prep.build_corpus --text_files="$out/sentences.txt" --text_format=sentences \
  --output_dir="$out/encoder/shards" --num_shards=20 --num_processes=2 --vocab_file="$encoder/vocab.txt" \
  --do_lower_case=true "${length[@]}" --dupe_factor=1
run python run_pretraining.py --do_train=true --input_file="$out/encoder/shards/*.tfrecord" "${length[@]}" \
  --bert_config_file="$encoder/bert_config.json" --init_checkpoint="$encoder" --output_dir="$out/encoder/training" \
  --train_batch_size=16 --learning_rate=2e-4 --num_train_steps="$encoder_steps" --num_warmup_steps=60
mkdir -p "$out/encoder/models"
[[ -d $out/encoder/models/0 ]] || cp -r "$encoder" "$out/encoder/models/0"
run python convert.py --checkpoint="$out/encoder/training/model.ckpt-$encoder_steps" --input_dir="$encoder" \
  --output_dir="$out/encoder/models/$encoder_steps"
run bash scripts/figure2b.sh "$out/encoder/models" "$data_dir" --output_dir="$out/encoder" "${data[@]}" \
  -- --num_train_epochs=3 --learning_rate=1e-4 --train_batch_size=16
