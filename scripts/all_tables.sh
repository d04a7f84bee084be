#!/usr/bin/env bash
# All tables of the paper that fine-tuning makes, and Figure 2(c), one after the other:
#
#   bash scripts/all_tables.sh MODEL_DIR DATA_DIR [--seeds=1,2,3] [--output_dir=output/paper] [-- --flag=value ...]
#
# They share their runs. One that cannot be made is named at the end and does not keep the others from it; the same
# command goes on. Figures 2(a) and 2(b) take directories of their own: scripts/figure2a.sh, scripts/figure2b.sh.
set -uo pipefail

scripts=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
if (($# < 2)) || [[ $1 == -* || $2 == -* ]]; then
  echo "error: expected all_tables.sh MODEL_DIR DATA_DIR [--flag=value ...]" >&2
  exit 1
fi

output_dir=()
for ((i = 3; i <= $#; i++)); do
  case ${!i} in
    --) break ;;
    --output_dir=*) output_dir=("${!i}") ;;
    --output_dir) output_dir=("${@:i:2}") ;;
  esac
done

failed=() stopped='' child=''
# Told to end, it passes that on to the script that runs, which ends when a checkpoint is written.
stop() {
  stopped=yes
  if [[ $child ]]; then kill -TERM "$child" 2>/dev/null; fi
}
trap stop TERM INT HUP

make() {
  local status
  if [[ $stopped ]]; then return; fi
  printf '\n== %s\n' "$1"
  bash "$scripts/$1" "${@:2}" &
  child=$!
  if [[ $stopped ]]; then stop; fi # told between the two lines
  while wait "$child"; status=$?; kill -0 "$child" 2>/dev/null; do :; done
  if ((status == 75)); then stopped=yes; elif ((status)); then failed+=("$1"); fi
}

make table3_5_datasets.sh "$2" "${output_dir[@]}"
for script in table6_ner.sh table7_re.sh table8_qa.sh table9_samples.sh figure2c.sh; do
  make "$script" "$@"
done
if [[ $stopped ]]; then exit 75; fi # the same command goes on
if ((${#failed[@]})); then
  printf 'error: not made, see above: %s\n' "${failed[*]}" >&2
  exit 1
fi
