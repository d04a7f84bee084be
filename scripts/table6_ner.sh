#!/usr/bin/env bash
# Table 6 of the paper: named entity recognition on nine data sets.
#
#   bash scripts/table6_ner.sh MODEL_DIR DATA_DIR [--seeds=1,2,3] [--data_sets=ncbi_disease,bc2gm] [-- --num_train_epochs=20]
#
# MODEL_DIR: a model (checkpoint, bert_config.json, vocab.txt), or a directory of several; DATA_DIR: the data sets. Both as
# python -m data_prep.download puts them. What is missing is said before it starts. What is done is not done again; what
# was stopped goes on. The report is in output/paper, or --output_dir; flags after -- go to the entry scripts.
set -euo pipefail
repository=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
PYTHONPATH=$repository${PYTHONPATH:+:$PYTHONPATH} exec python -m reproduction.tables --table=6 "$@"
