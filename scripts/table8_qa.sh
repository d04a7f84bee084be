#!/usr/bin/env bash
# Table 8 of the paper: question answering on BioASQ 4b, 5b and 6b, after SQuAD if DATA_DIR has it.
#
#   bash scripts/table8_qa.sh MODEL_DIR DATA_DIR [--seeds=1,2,3] [--data_sets=bioasq_4b] [-- --flag=value ...]
#
# MODEL_DIR: a model (checkpoint, bert_config.json, vocab.txt), or a directory of several; DATA_DIR: the data sets. Both as
# python -m data_prep.download puts them. What is missing is said before it starts. What is done is not done again; what
# was stopped goes on. The report is in output/paper, or --output_dir; flags after -- go to the entry scripts.
set -euo pipefail
repository=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
PYTHONPATH=$repository${PYTHONPATH:+:$PYTHONPATH} exec python -m reproduction.tables --table=8 "$@"
