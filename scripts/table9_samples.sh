#!/usr/bin/env bash
# Table 9 of the paper: the same sentences and questions by two models, differences marked.
#
#   bash scripts/table9_samples.sh MODEL_DIR DATA_DIR [--models=bert_base_cased,biobert_v1.1] [--data_sets=ncbi_disease] [--num_samples=3]
#
# MODEL_DIR: a model (checkpoint, bert_config.json, vocab.txt), or a directory of several; DATA_DIR: the data sets. Both as
# python -m data_prep.download puts them. What is missing is said before it starts. What is done is not done again; what
# was stopped goes on. The report is in output/paper, or --output_dir; flags after -- go to the entry scripts.
set -euo pipefail
repository=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
PYTHONPATH=$repository${PYTHONPATH:+:$PYTHONPATH} exec python -m reproduction.samples "$@"
