#!/usr/bin/env bash
# The paper's grid for named entity recognition: learning rate and batch size by entity F1 on devel.tsv, after the best
# epoch of each (run_ner.py --select_best_on_dev).
#
#   bash scripts/grid.sh MODEL_DIR DATA_SET_DIR OUTPUT_DIR [--learning_rates=5e-5,3e-5,1e-5] \
#       [--batch_sizes=10,16,32,64] [--flag=value ...]
#
#   MODEL_DIR     bert_config.json, vocab.txt and checkpoint
#   DATA_SET_DIR  train.tsv and devel.tsv, for instance datasets/NER/NCBI-disease
#   --flag=...    flags of run_ner.py, for instance --num_train_epochs=50; paths in them from the root of the repository
#
# Written: OUTPUT_DIR/learning_rate_*_batch_size_*, a run each, and OUTPUT_DIR/grid.tsv, the scores from the best to the
# worst; at the end the commands for the best. The data sets of relations were released with empty dev.tsv, and those of
# questions without one: there is nothing to choose by, so this is for entities alone.
# SIGTERM and Ctrl-C write a checkpoint. The same command goes on where a run was stopped or killed.
set -euo pipefail
repository=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
PYTHONPATH=$repository${PYTHONPATH:+:$PYTHONPATH} exec python -m reproduction.grid "$@"
