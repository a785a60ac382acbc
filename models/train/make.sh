#!/bin/sh
# make.sh DATA WORK OUT: every step, in order. Stop it and start it again: distil.py resumes, the rest is minutes each.
set -eu
python=${PYTHON:-python3}
data=$1 work=$2 out=$3
cd "$(dirname "$0")"
export OMP_WAIT_POLICY=passive              # two cores that others use too
step() { script=$1; shift; echo "== $script"; "$python" "$script.py" --data "$data" --work "$work" "$@"; }
step corpus
step vocab
step teacher
step features --views plain
step features --splits train --views low,crop1,crop2,flip
step features --splits dev --views low
step distil
step train --out joint
step train --begin joint.pt --joint-steps 0 --head-steps 150 --multi 1.5 --low-share 0.6 --lr 5e-4
step kernel --begin model.pt --out kernel1 --steps 80 --lr 5e-4 --kl 1 --multi 1.5
step kernel --begin kernel1.pt --out kernel2 --steps 140 --multi 2
step kernel --begin kernel2.pt --out kernel3 --steps 120 --near 8 --order 1 --multi 0.6 --seed 2
step mean --of kernel1.pt,kernel2.pt,kernel3.pt --shares 0.4,0.4,0.2 --out final
step proxies --checkpoint "$work/final.pt"
step export --checkpoint "$work/final.pt" --out "$out"
step verify --model "$out" --checkpoint "$work/final.pt"
