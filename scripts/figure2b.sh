#!/usr/bin/env bash
# Figure 2(b) of the paper: entity F1 against pre-training steps.
#
#   bash scripts/figure2b.sh MODEL_DIR DATA_DIR [--seeds=1,2,3] [--data_sets=ncbi_disease,bc2gm,bc4chemd]
#
# MODEL_DIR: a model in each subdirectory, named by its steps (0, 50K, 1M); convert.py --checkpoint makes one of each
# checkpoint of a pre-training run. The rest is as in table6_ner.sh.
set -euo pipefail
repository=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
PYTHONPATH=$repository${PYTHONPATH:+:$PYTHONPATH} exec python -m reproduction.curves --figure=2b "$@"
