#!/usr/bin/env bash
# A cohort as a Slurm job array: eight jobs with a GPU each, the slides and the results on a shared disk.
#     sbatch examples/slurm_array.sh SLIDES RESULTS
#SBATCH --job-name=glandseg
#SBATCH --array=1-8
#SBATCH --gpus-per-task=1
#SBATCH --cpus-per-task=8
#SBATCH --mem=16G
#SBATCH --time=12:00:00
#SBATCH --requeue
set -euo pipefail

# A job that is requeued resumes its slides; a slide that another job runs is left to it. After a loss, submit
# the whole array again: what is done is kept.
glandseg infer "$1" --recursive --out "$2" \
  --shard "${SLURM_ARRAY_TASK_ID:-1}/${SLURM_ARRAY_TASK_COUNT:-1}" \
  --threads "${SLURM_CPUS_PER_TASK:-0}" --max-ram 12
