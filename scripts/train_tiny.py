"""Trains the embedded CLIP from nothing: draws its pictures, then trains on the clock.

    export OMP_WAIT_POLICY=PASSIVE GOMP_SPINCOUNT=0
    python scripts/train_tiny.py --minutes 35
    python scripts/train_tiny.py --minutes 24 --start results/train_tiny --out results/train_tiny/second

The second command goes on from the first one's weights, on all kinds of pictures, with more captions that name every
object and a new learning-rate schedule. Copy the files of its folder to `falip/tiny/` to make it the embedded model.
Drawing takes some minutes on two cores and is kept for the next time. The schedule follows the clock: a faster machine
takes more steps in the same minutes. Without the two variables, threads on a machine that others use too spin while
they wait for each other, and a step takes several times as long.
"""

import argparse
from pathlib import Path

import torch
from transformers import CLIPModel

from benchmarks.embedded.model import IMAGE_SIZE, make_model
from benchmarks.embedded.pictures import make_pool
from benchmarks.embedded.training import Schedule, train


def main() -> None:
    """Reads the command line, draws, trains and saves."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=Schedule.minutes, help="training time without drawing")
    parser.add_argument("--out", type=Path, default=Path("results/train_tiny"), help="folder of the model and its log")
    parser.add_argument("--start", type=Path, help="folder of a model to go on from, on all kinds of pictures at once")
    parser.add_argument("--pool", type=Path, default=Path("results/train_tiny"), help="folder of the training pictures")
    parser.add_argument("--pictures", type=int, default=40000, help="number of training pictures")
    parser.add_argument("--seed", type=int, default=0, help="of weights, order and captions")
    parser.add_argument("--device", default="cpu")
    arguments = parser.parse_args()
    pool = make_pool(arguments.pool, arguments.pictures, 0, IMAGE_SIZE)
    torch.manual_seed(arguments.seed)
    if arguments.start is None:
        model, schedule = make_model(), Schedule(arguments.minutes)
    else:
        model = CLIPModel.from_pretrained(arguments.start, dtype=torch.float32)
        schedule = Schedule(arguments.minutes, single_share=0.0, name_all=0.75)
    train(model, pool, arguments.out, schedule, arguments.seed, arguments.device)


if __name__ == "__main__":
    main()
