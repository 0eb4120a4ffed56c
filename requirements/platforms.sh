#!/usr/bin/env bash
# Which extras resolve to wheels alone, on which system and Python: prints a table for
# docs/install.md. Needs the network; `make platforms` runs it.
set -u
cd "$(dirname "$0")/.."
UV=${UV:-.venv/bin/uv}
systems=(x86_64-manylinux_2_35 aarch64-manylinux_2_35 aarch64-apple-darwin x86_64-apple-darwin x86_64-pc-windows-msvc)
extras=("" asr sphinx whisper web live train "ass,heif,pandas,zoo,evaluate,parquet,figure,xlsx,docs"
  onnx tflite keras hub openvino tflite-export ray mtcnn)
[ $# -eq 0 ] || extras=("$@") # of some extras alone: requirements/platforms.sh ray mtcnn

# MACOSX_DEPLOYMENT_TARGET: wheels of Apple's systems name the oldest one that they run on.
resolves() { # extra system python
  MACOSX_DEPLOYMENT_TARGET=15.0 "$UV" pip compile --quiet --no-header --only-binary :all: \
    --python-platform "$2" --python-version "$3" ${1:+--extra ${1//,/ --extra }} \
    pyproject.toml >/dev/null 2>&1
}

echo "| extra | Linux x86-64 | Linux arm64 | macOS arm64 | macOS x86-64 | Windows x86-64 |"
echo "|---|---|---|---|---|---|"
for extra in "${extras[@]}"; do
  row="| ${extra:+\`${extra//,/\`, \`}\`} |"
  for system in "${systems[@]}"; do
    found=""
    for python in 3.10 3.11 3.12 3.13 3.14; do
      resolves "$extra" "$system" "$python" && found+=" ${python#3.}"
    done
    case "$found" in
      " 10 11 12 13 14") found=" all" ;;
      "") found=" –" ;;
      *) found=" 3.${found# }" && found="${found// / 3.}" && found=" ${found# 3.}" ;;
    esac
    row+="$found |"
  done
  echo "$row"
done
