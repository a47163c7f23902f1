#!/bin/sh
# Make the environments of LLaMA-Factory and Axolotl: install.sh PYTHON FOLDER.
set -eu
python=$1 folder=$2

environment() {
	test -x "$folder/$1/bin/python" || "$python" -m venv "$folder/$1"
	"$folder/$1/bin/python" -m pip install --quiet --upgrade 'pip>=25.1'
}

# Where torch is a build for CPUs, the torchvision and torchaudio of PyPI, made for GPUs, cannot be imported. Both
# serve pictures and sound alone; LLaMA-Factory imports torchaudio at its start, so an empty one stands in for it.
environment llamafactory
pip="$folder/llamafactory/bin/python -m pip"
if ! "$folder/llamafactory/bin/python" -c 'import llamafactory, torchaudio' 2>/dev/null; then
	$pip install --quiet torch==2.13.0 llamafactory==0.9.5
	if ! "$folder/llamafactory/bin/python" -c 'import torchaudio, torchvision' 2>/dev/null; then
		$pip uninstall --quiet --yes torchvision torchaudio
		packages=$("$folder/llamafactory/bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
		echo '"""Nothing: sound is not read here."""' >"$packages/torchaudio.py"
	fi
fi

# Axolotl's whole list brings much that is built for GPUs; here it gets what loading and training by our recipe ask for,
# with its own pins. Two of those are imported though they have nothing to do without a GPU: bitsandbytes and triton.
environment axolotl
pip="$folder/axolotl/bin/python -m pip"
if ! $pip show --quiet axolotl 2>/dev/null; then
	$pip install --quiet torch==2.13.0 packaging==26.0 huggingface_hub==1.17.0 peft==0.20.0 tokenizers==0.23.1 \
		transformers==5.16.1 accelerate==1.13.0 datasets==4.8.4 trl==1.9.0 pydantic==2.12.5 addict fire PyYAML==6.0.3 \
		requests einops colorama 'numba>=0.63.1,<1.0' 'numpy>=2.1,<3.0' typer==0.25.1 evaluate==0.4.1 scipy art \
		python-dotenv==1.0.1 zstandard==0.22.0 langdetect==1.0.9 immutabledict==4.2.0 schedulefree==1.4.1 \
		posthog==6.7.11 sentencepiece fastcore mistral-common==1.11.5 nvidia-ml-py==12.560.30
	$pip install --quiet wandb==0.31.0
	$pip install --quiet --no-deps bitsandbytes==0.50.2 triton==3.9.0
	$pip install --quiet --no-deps axolotl==0.19.0 axolotl-contribs-lgpl==0.0.7 axolotl-contribs-mit==0.0.6
fi
