#!/usr/bin/env bash
# Continued pre-training of a model of the paper on all GPUs of this machine:
#
#   bash scripts/pretrain.sh MODEL BERT_DIR SHARDS OUTPUT_DIR [--flag=value ...]
#   bash scripts/pretrain.sh biobert_v1.0_pubmed_pmc BERT_DIR PUBMED_SHARDS PMC_SHARDS OUTPUT_DIR [--flag=value ...]
#
#   MODEL       a file of configs/pretraining without .cfg, for instance biobert_v1.1_pubmed
#   BERT_DIR    bert_config.json, vocab.txt and checkpoint to start from
#   SHARDS      the directory that `python -m data_prep.build_corpus --output_dir=...` wrote, with
#               --max_seq_length=512 --max_predictions_per_seq=77
#   --flag=...  flags of run_pretraining.py that win over the files'; paths in them from the root of the repository
#
# Written: OUTPUT_DIR/training/MODEL, the run with its TensorBoard events, and at the end OUTPUT_DIR/MODEL, which is
# what fine-tuning takes: model.ckpt-STEP, bert_config.json and vocab.txt, as BioBERT was published. The second of the
# two forms trains biobert_v1.0_pubmed first, unless it is there already.
# SIGTERM and Ctrl-C write a checkpoint. The same command goes on where a run was stopped or killed.
set -euo pipefail

repository=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
two_stages=biobert_v1.0_pubmed_pmc
first_stage=biobert_v1.0_pubmed

fail() {
  printf '%s\n' "error: $1" "${@:2}" >&2
  exit 1
}

read_arguments() {
  local arguments=()
  while (($#)) && [[ $1 != -* ]]; do
    arguments+=("$1")
    shift
  done
  flags=("$@")
  model=${arguments[0]:-}
  local expected=4
  [[ $model == "$two_stages" ]] && expected=5
  [[ ${#arguments[@]} == "$expected" ]] || fail "${#arguments[@]} arguments before the flags; expected $expected:" \
    "  pretrain.sh MODEL BERT_DIR SHARDS OUTPUT_DIR [--flag=value ...]" \
    "  pretrain.sh $two_stages BERT_DIR PUBMED_SHARDS PMC_SHARDS OUTPUT_DIR [--flag=value ...]"
  bert_dir=$(realpath -m "${arguments[1]}")
  shards=("${arguments[@]:2:expected-3}")
  output_dir=$(realpath -m "${arguments[-1]}")
}

# Whether the directory $1 has files whose names match $2.
has() {
  local found=("$1"/$2)
  [[ -e ${found[0]} ]]
}

check_inputs() {
  local config=configs/pretraining/$model.cfg missing=() directory
  [[ -f $repository/$config && $model == bio* ]] ||
    fail "$config: no such file; expected one of $(cd "$repository/configs/pretraining" && echo bio*.cfg)"
  has "$bert_dir" bert_config.json || missing+=("$bert_dir/bert_config.json")
  has "$bert_dir" vocab.txt || missing+=("$bert_dir/vocab.txt")
  has "$bert_dir" "*.ckpt*.index" || missing+=("$bert_dir/bert_model.ckpt.index")
  for directory in "${shards[@]}"; do
    has "$directory" "*.tfrecord" || missing+=("$directory/*.tfrecord")
  done
  ((${#missing[@]} == 0)) || fail "${missing[@]/#/missing: }" "expected" \
    "  BERT_DIR: BERT-Base, Cased (biobert_large_pubmed: BERT-Large, Cased), unpacked; the README of" \
    "    github.com/google-research/bert links it. Or Hugging Face's bert-base-cased, converted by convert.py" \
    "  SHARDS: what python -m data_prep.build_corpus --max_seq_length=512 --max_predictions_per_seq=77 wrote"
}

# Runs a program so that a signal to this script reaches it.
run() {
  local status signalled=yes
  printf '$ %s\n' "$*"
  "$@" &
  child=$!
  trap 'signalled=yes; kill -TERM "$child" 2>/dev/null || true' TERM INT HUP
  while [[ $signalled ]]; do  # which ends `wait` before the program has ended
    signalled=
    status=0
    wait "$child" || status=$?
  done
  trap - TERM INT HUP
  return "$status"
}

# Trains the model $1 on the shards $2, starting from the checkpoint in $3, to $output_dir/$1.
train() {
  local training=$output_dir/training/$1 steps
  steps=$(printf '%s\n' "$(<"configs/pretraining/$1.cfg")" "${flags[@]}" |
    sed -n 's/^--\?num_train_steps=//p' | tail -n 1)
  if [[ -f $output_dir/$1/model.ckpt-$steps.index ]]; then
    printf '%s: done already\n' "$output_dir/$1"
    return
  fi
  run python run_pretraining.py --flagfile="configs/pretraining/$1.cfg" --flagfile=configs/pretraining/8_gpus.cfg \
    --input_file="$2/*.tfrecord" --bert_config_file="$3/bert_config.json" --init_checkpoint="$3" \
    --output_dir="$training" "${flags[@]}"
  if [[ ! -f $training/model.ckpt-$steps.index ]]; then
    printf 'stopped before step %s; the same command goes on\n' "$steps"
    exit
  fi
  run python convert.py --checkpoint="$training/model.ckpt-$steps" --input_dir="$3" --output_dir="$output_dir/$1"
}

read_arguments "$@"
check_inputs
mapfile -t shards < <(realpath "${shards[@]}")
cd "$repository"
if [[ $model == "$two_stages" ]]; then
  train "$first_stage" "${shards[0]}" "$bert_dir"
  bert_dir=$output_dir/$first_stage
fi
train "$model" "${shards[-1]}" "$bert_dir"

checkpoint=$(ls -v "$output_dir/$model"/model.ckpt-*.index | tail -n 1)
cat <<END
For fine-tuning:
  --init_checkpoint=${checkpoint%.index}
  --bert_config_file=$output_dir/$model/bert_config.json
  --vocab_file=$output_dir/$model/vocab.txt
END
