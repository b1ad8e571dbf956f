#!/usr/bin/env bash
# Fine-tuning where an accelerator is: throughput and memory, then a sweep of the demo's DPO.
#
#   benchmarks/gpu_finetune.sh            writes benchmarks/results/gpu_finetune.md
#   benchmarks/gpu_finetune.sh --cpu      a few steps without a GPU, to try the script; writes nothing
#
# PYTHON   the interpreter that has torch (default: python3)
# WHEELS   a folder of wheels for what it lacks, without network: trl datasets dill multiprocess
# TARGET   the file to write
set -euo pipefail
cd "$(dirname "$0")/.."
python=${PYTHON:-python3}
target=${TARGET:-benchmarks/results/gpu_finetune.md}
dry=no
[ "${1:-}" = --cpu ] && dry=yes

has() { "$python" -c 'import importlib.util, sys; sys.exit(importlib.util.find_spec(sys.argv[1]) is None)' "$1"; }

for package in torch transformers tokenizers accelerate peft pydantic yaml; do
  has "$package" || { echo "gpu_finetune: $python has no $package; name another with PYTHON=" >&2; exit 64; }
done
missing=()
for package in trl datasets dill multiprocess; do has "$package" || missing+=("$package"); done
if ((${#missing[@]})) && [ -n "${WHEELS:-}" ]; then
  extra=$(mktemp -d)
  trap 'rm -rf "$extra"' EXIT
  if "$python" -m pip install --quiet --no-deps --no-index --find-links "$WHEELS" \
      --target "$extra" "${missing[@]}"; then
    export PYTHONPATH="$extra${PYTHONPATH:+:$PYTHONPATH}"
    missing=()
  else
    echo "gpu_finetune: $WHEELS lacks some of: ${missing[*]}" >&2
  fi
fi
export PYTHONPATH="$PWD:$PWD/benchmarks${PYTHONPATH:+:$PYTHONPATH}" HF_HUB_OFFLINE=1
export TOKENIZERS_PARALLELISM=false PYTHONWARNINGS=ignore

options=() sweep=()
if [ "$dry" = yes ]; then
  options=(--cpu)
  sweep=(--preset quick --seeds 1 --rates 5e-4 --betas 0.1 --anchors 0)
fi
report=$(mktemp)
{
  echo "# Fine-tuning on a GPU"
  echo
  echo "$(date -u +%Y-%m-%d). Command: \`benchmarks/gpu_finetune.sh\`. Random-weight Llama shapes;"
  echo "medians; the bare loop pads its rows and keeps nothing."
  echo
  echo "## Throughput and memory"
  echo
  "$python" benchmarks/gpu_finetune.py "${options[@]}"
  echo
  echo "## DPO on the demo: rate x beta x SFT weight, judged by the gate"
  echo
  if ((${#missing[@]})); then
    echo "Not measured: ${missing[*]} missing (see WHEELS in the script)."
  else
    "$python" benchmarks/finetune_sweep.py "${sweep[@]}"
  fi
} | tee "$report"
if [ "$dry" = no ]; then
  mv "$report" "$target"
  echo "written: $target" >&2
fi
