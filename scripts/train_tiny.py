"""Trains the embedded CLIP from nothing: draws its pictures, then trains on the clock.

    python scripts/train_tiny.py --minutes 70 --out results/train_tiny

Copy the files of the folder to `falip/tiny/` to make it the embedded model. Drawing takes about 4 minutes on two
cores and is kept in the folder for the next time. The weights are those of the clock: a faster machine takes more
steps in the same minutes.
"""

import argparse
from pathlib import Path

import torch

from benchmarks.embedded.model import IMAGE_SIZE, make_model
from benchmarks.embedded.pictures import make_pool
from benchmarks.embedded.training import Schedule, train


def main() -> None:
    """Reads the command line, draws, trains and saves."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=Schedule.minutes, help="training time without drawing")
    parser.add_argument("--out", type=Path, default=Path("results/train_tiny"), help="folder of model, log and pool")
    parser.add_argument("--pictures", type=int, default=40000, help="size of the pool of training pictures")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--device", default="cpu")
    arguments = parser.parse_args()
    pool = make_pool(arguments.out, arguments.pictures, arguments.seed, IMAGE_SIZE)
    torch.manual_seed(arguments.seed)
    train(make_model(), pool, arguments.out, Schedule(arguments.minutes), arguments.seed, arguments.device)


if __name__ == "__main__":
    main()
