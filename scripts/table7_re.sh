#!/usr/bin/env bash
# Table 7 of the paper: relation extraction on three data sets.
#
#   bash scripts/table7_re.sh MODEL_DIR DATA_DIR [--seeds=1,2,3] [--data_sets=gad,euadr] [-- --flag=value ...]
#
# MODEL_DIR: a model (checkpoint, bert_config.json, vocab.txt), or a directory of several; DATA_DIR: the data sets. Both as
# python -m data_prep.download puts them. What is missing is said before it starts. What is done is not done again; what
# was stopped goes on. The report is in output/paper, or --output_dir; flags after -- go to the entry scripts.
set -euo pipefail
repository=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
PYTHONPATH=$repository${PYTHONPATH:+:$PYTHONPATH} exec python -m reproduction.tables --table=7 "$@"
