#!/usr/bin/env bash
# Figure 2(c) of the paper: what BioBERT gains over BERT on all 15 data sets.
#
#   bash scripts/figure2c.sh MODEL_DIR DATA_DIR [--models=bert_base_cased,biobert_v1.0_pubmed_pmc] [--seeds=1,2,3]
#
# MODEL_DIR: a model (checkpoint, bert_config.json, vocab.txt), or a directory of several; DATA_DIR: the data sets. Both as
# python -m data_prep.download puts them. What is missing is said before it starts. What is done is not done again; what
# was stopped goes on. The report is in output/paper, or --output_dir; flags after -- go to the entry scripts.
set -euo pipefail
repository=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
PYTHONPATH=$repository${PYTHONPATH:+:$PYTHONPATH} exec python -m reproduction.gains "$@"
