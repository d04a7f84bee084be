#!/usr/bin/env bash
# Tables 3, 4 and 5 of the paper: sizes of the data sets, counted.
#
#   bash scripts/table3_5_datasets.sh DATA_DIR [--output_dir=output/paper]
#
# DATA_DIR: as python -m data_prep.download puts them. What is missing is said, and its lines stay empty.
set -euo pipefail
repository=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
PYTHONPATH=$repository${PYTHONPATH:+:$PYTHONPATH} exec python -m reproduction.sizes "$@"
