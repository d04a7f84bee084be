#!/usr/bin/env bash
# Continued pre-training of a model of the paper on all GPUs of this machine:
#
#   bash scripts/pretrain.sh MODEL BERT_DIR SHARDS OUTPUT_DIR [--flag=value ...]
#   bash scripts/pretrain.sh biobert_v1.0_pubmed_pmc BERT_DIR PUBMED_SHARDS PMC_SHARDS OUTPUT_DIR [--flag=value ...]
#
#   MODEL       a file of configs/pretraining without .cfg, for instance biobert_v1.1_pubmed
#   BERT_DIR    bert_config.json, vocab.txt and checkpoint to start from
#   SHARDS      the directory that `python -m data_prep.build_corpus --output_dir=...` wrote, with
#               --max_seq_length=512 --max_predictions_per_seq=77
#   --flag=...  flags of run_pretraining.py that win over the files'; paths in them from the root of the repository
#
# Written: OUTPUT_DIR/training/MODEL, the run with its TensorBoard events, and at the end OUTPUT_DIR/MODEL, which is
# what fine-tuning takes: model.ckpt-STEP, bert_config.json and vocab.txt, as BioBERT was published. The second of the
# two forms trains biobert_v1.0_pubmed first, unless it is there already.
# SIGTERM and Ctrl-C write a checkpoint. The same command goes on where a run was stopped or killed.
set -euo pipefail
repository=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
PYTHONPATH=$repository${PYTHONPATH:+:$PYTHONPATH} exec python -m reproduction.pretraining "$@"
