"""Deep Q-networks made equivariant: Figure 2 of arXiv 2305.09900, and when a symmetrised policy is a better one.

    python examples/q_learning.py --data DIR --output runs/q_learning
    python examples/q_learning.py --output runs/q_learning --agent trained --environment cartpole --seed 0
    python examples/q_learning.py --output runs/q_learning --page docs/results/q_learning.md

The first line measures the public agents, trains DQNs with five seeds in two grid worlds, CartPole and Acrobot,
measures what equitune and equizero make of each without training, looks for the reasons, and finetunes. It writes a
record for each stage, and does not run again what has one. The second line does some of it, and needs no data. The
third line writes the page from the records so far. The environments need more packages: pip install -e '.[rl]'.

With `--smoke` a DQN trains in CartPole for a few thousand steps, in less than a minute. It prints the returns of the
DQN and of what the methods make of it, and how far the values of a state and of its twin differ.
"""

from __future__ import annotations

import argparse
import shlex
import sys
import tempfile
from importlib.util import find_spec
from pathlib import Path
from statistics import mean

from data import add_data_argument, require
from machine import add_threads_argument, fix_arithmetic

if missing := [name for name in ("gymnasium", "stable_baselines3") if find_spec(name) is None]:
    raise SystemExit(f"This example needs {' and '.join(missing)}: pip install -e '.[rl]'")

from q_learning_play import ENVIRONMENTS
from q_learning_results import write_page
from q_learning_stages import METHODS, PUBLIC, STAGES, Run, Settings, runs_of

SEEDS = range(5)
AGENTS = (PUBLIC, "trained")
FAST = {
    "learning_rate": 1e-3,
    "gradient_steps": 4,
    "target_update_interval": 200,
    "exploration_fraction": 0.5,
}
SMALL = Settings(pretraining=2000, finetuning=1000, points=2, few=5, episodes=20, agent=FAST)


def parse() -> argparse.Namespace:
    """Read the command line."""
    summary, _, details = (__doc__ or "").partition("\n\n")
    parser = argparse.ArgumentParser(
        description=summary, epilog=details, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add_data_argument(parser)
    parser.add_argument(
        "--output", type=Path, default=Path("runs/q_learning"), metavar="DIR", help="folder of all runs"
    )
    parser.add_argument(
        "--agent",
        choices=AGENTS,
        action="append",
        help="public agents, or those that are trained here (default: both)",
    )
    parser.add_argument(
        "--environment", choices=list(ENVIRONMENTS), action="append", help="repeat for more (default: all)"
    )
    parser.add_argument("--seed", type=int, action="append", metavar="N", help="repeat for more (default: 0 to 4)")
    parser.add_argument("--stage", choices=STAGES, action="append", help="only these stages (default: all)")
    parser.add_argument("--page", type=Path, metavar="FILE", help="only write the tables and plots into a page")
    add_threads_argument(parser)
    parser.add_argument("--smoke", action="store_true", help="show the effect in a minute")
    return parser.parse_args()


def show(output: Path) -> None:
    """Train a small DQN, and print what the methods make of it."""
    run = Run(Path(), output, "cartpole", 0, SMALL)
    run.finish("pretrain")
    returns, agreement = run.finish("zero_shot")["returns"], run.finish("reasons")["agreement"]["its path"]
    for name, own in returns.items():
        print(f"{name:16} mean return {mean(own):5.1f}")
    print(f"In {agreement['twins disagree']:.0%} of its states, the DQN acts otherwise in the twin.")
    for name, method in METHODS.items():
        print(f"{name:16} largest |Q(s, a) - Q(gs, ga)| {run.asymmetry(method):.1e}")


def work(runs: list[Run], stages: list[str]) -> None:
    """Run the stages that have no record yet."""
    for run in runs:
        for stage in run.stages:
            if stage in stages and run.results(stage) is None:
                print(f"{run.name}: {stage}", file=sys.stderr, flush=True)
                returns = run.finish(stage).get("returns", {})
                for name, own in returns.items() if isinstance(returns, dict) else [("finetuned", returns)]:
                    print(f"  {name}: mean return {mean(own):.1f}", file=sys.stderr, flush=True)


def main() -> None:
    """Show, write the page, or run what has no record."""
    arguments = parse()
    fix_arithmetic(arguments.threads)
    if arguments.smoke:
        with tempfile.TemporaryDirectory() as folder:
            show(Path(folder))
        return
    agents, names = arguments.agent or AGENTS, arguments.environment or list(ENVIRONMENTS)
    seeds: list[int | str] = [PUBLIC] if PUBLIC in agents else []
    seeds += (arguments.seed or SEEDS) if "trained" in agents else []
    runs = list(runs_of(arguments.data, arguments.output, names, seeds))
    if arguments.page is not None:
        write_page(
            arguments.page,
            runs,
            shlex.join(["python", "examples/q_learning.py", "--data", "DIR", "--output", "runs/q_learning"]),
        )
        return
    if any(run.seed == PUBLIC for run in runs):
        require(arguments.data, "rl")
    work(runs, arguments.stage or list(STAGES))


if __name__ == "__main__":
    main()
