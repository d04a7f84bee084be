#!/usr/bin/env bash
# Figure 2(a) of the paper: entity F1 against the size of the pre-training corpus.
#
#   bash scripts/figure2a.sh MODEL_DIR DATA_DIR [--seeds=1,2,3] [--data_sets=ncbi_disease,bc2gm,bc4chemd]
#
# MODEL_DIR: a model in each subdirectory, named by the words it was trained on (0, 1.5B, 4.5B); convert.py --checkpoint
# makes one of a pre-training run. The rest is as in table6_ner.sh.
set -euo pipefail
repository=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
PYTHONPATH=$repository${PYTHONPATH:+:$PYTHONPATH} exec python -m reproduction.curves --figure=2a "$@"
