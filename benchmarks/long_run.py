"""A training run of days: start it or go on with it, look at it, stop it, carry it elsewhere.

    python benchmarks/long_run.py start RUN --data DATA [--processes 2] [options of `mbs train`]
    python benchmarks/long_run.py state RUN
    python benchmarks/long_run.py stop RUN
    python benchmarks/long_run.py average RUN --last 8 --out FILE
    python benchmarks/long_run.py pack RUN [--out training-state]
    python benchmarks/long_run.py unpack training-state RUN

`start` goes on if there is a run in RUN, with the options it was started with, and else takes up
what `pack` has left in training-state/ (`--anew`: it does not). The run outlives the terminal; its
messages go to RUN/log.txt. `pack` keeps everything if that is small, else the averaged weights
alone, which a run begins with as by `--init`: optimizer and best score are then anew.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from statistics import fmean

import psutil
import torch
from average import average
from long_run_folder import Plan, Row, files_of, kept_weights, process_of, rows_of, saved_text

from mbs_cli.models.checkpoint import load_checkpoint, save_checkpoint

MODEL = "mbs-net-bidirectional"
# The recipe: 1,000,000 clips at a constant rate, the last third of them with a share of long ones.
# What is given to `start` comes after it and wins.
RECIPE = (
    *("--batch-size", "8", "--steps", "125000"),
    *("--learning-rate", "2e-3", "--final-rate", "1", "--ema-decay", "0.9995"),
    *("--codec", "0.1", "--long-clips", "0.25", "--long-clips-after", "80000"),
    *("--save-minutes", "5", "--validate-minutes", "60", "--keep-every", "2500"),
)
PACKED = Path(__file__).resolve().parents[1] / "training-state"
PACKED_MB = 12.0  # what a repository takes without harm
WEIGHTS = "weights.safetensors"  # all that is left of a run that was too large to pack
LOOK_SECONDS = 120.0  # after a start; decoding may take longer
BEGUN = " parameters on "  # what `mbs train` says before the first step
RESTARTS = 3  # after a process died, for example for want of memory
ONE_THREAD = {"OMP_NUM_THREADS": "1", "NUMBA_NUM_THREADS": "1"}
SHOWN_REPORTS = 3
TOLD = ("step ", "trained ", "stopped ", "note:", "error:", "hint:")  # not what torchrun says
SPEED_REPORTS = 15  # 5 minutes


def start(options: argparse.Namespace, others: list[str]) -> None:
    """Begin a run or go on with it, in a session of its own."""
    run: Path = options.run.resolve()
    run.mkdir(parents=True, exist_ok=True)
    if process_of(run):
        raise SystemExit(f"{run}: is being trained already")
    is_new = not (files_of(run).run_state.exists() or (run / WEIGHTS).exists())
    if is_new and not options.anew and PACKED.is_dir():
        print(f"goes on from {PACKED}")
        take_up(PACKED, run)
    plan = plan_of(run, options, others)
    process = launch(run, command_of(run, options, plan))
    if has_begun(run, process):
        plan.write(run)
        print(f"process {process.pid} trains; its messages go to {run / 'log.txt'}")
        return
    print((run / "log.txt").read_text()[-2000:])
    raise SystemExit(f"ended with code {process.returncode}")


def launch(run: Path, command: list[str]) -> subprocess.Popen[bytes]:
    """The process, which nothing ends that ends this one."""
    with (run / "log.txt").open("a") as log:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            env=os.environ | ONE_THREAD,
            start_new_session=True,
        )
    (run / "pid").write_text(f"{process.pid}\n")
    return process


def has_begun(run: Path, process: subprocess.Popen[bytes]) -> bool:
    """Wait for the first step; False if it ends before, as with an option that does not fit."""
    told = (run / "log.txt").open()
    told.seek(0, os.SEEK_END)
    end = time.monotonic() + LOOK_SECONDS
    with told:
        while process.poll() is None and time.monotonic() < end:
            if BEGUN in told.read():
                return True
            time.sleep(0.5)
    return process.poll() is None


def plan_of(run: Path, options: argparse.Namespace, others: list[str]) -> Plan:
    """What the run was started with, and what is given now on top."""
    plan = Plan.read(run) or Plan(["--model", MODEL, *RECIPE])
    model = ("--model", options.model) if options.model else ()
    plan.options += [*model, *others]
    plan.processes = options.processes or plan.processes
    return plan


def command_of(run: Path, options: argparse.Namespace, plan: Plan) -> list[str]:
    """`mbs train` by torchrun, one thread each, behind whatever else the machine does."""
    module = ["-m", "mbs_cli", "train"]
    if plan.processes > 1:
        count = ("--nproc-per-node", str(plan.processes), "--max-restarts", str(RESTARTS))
        module = ["-m", "torch.distributed.run", "--standalone", *count, *module]
    where = [str(options.data.resolve()), "--out", str(run)]
    cache = ["--cache", str(options.cache.resolve())] if options.cache else []
    begin = ["--resume"] if files_of(run).run_state.exists() else init_of(run)
    return ["nice", "-n", "10", sys.executable, *module, *where, *cache, *plan.options, *begin]


def init_of(run: Path) -> list[str]:
    """What a run begins with whose weights alone were packed; nothing for others."""
    return ["--init", str(run / WEIGHTS)] if (run / WEIGHTS).exists() else []


def stop(options: argparse.Namespace) -> None:
    """End the run with a save, at the end of the step or of the validation it is at.

    One process that trains is asked to stop, and all agree on it. torchrun itself would pass a
    signal on to the processes that mix clips as well, whose end is an error, and would kill a
    validation after 30 s. It is asked when the run is saved, before it starts the run again.
    """
    run: Path = options.run.resolve()
    process = process_of(run)
    if process is None:
        raise SystemExit(f"{run}: is not being trained")
    try:
        for one in (trainer_of(process), process):
            with suppress(psutil.NoSuchProcess):
                one.send_signal(signal.SIGTERM)
                one.wait(options.timeout_seconds)
    except psutil.TimeoutExpired as error:
        text = f"process {error.pid} has not ended, see {run / 'log.txt'}"
        raise SystemExit(text) from None
    print(f"stopped; {saved_text(run)}")


def trainer_of(process: psutil.Process) -> psutil.Process:
    """The last of the processes that torchrun has started; this one if it trains by itself."""
    if "torch.distributed.run" not in process.cmdline():
        return process
    return max(process.children(), key=lambda child: child.pid, default=process)


def state(options: argparse.Namespace) -> None:
    """Print how far the run is and how it does."""
    run: Path = options.run.resolve()
    process, rows = process_of(run), rows_of(run)
    print(f"process {process.pid} trains" if process else "is not being trained")
    print(saved_text(run))
    if rows:
        print_progress(run, rows)
    kept = kept_weights(run)
    print(f"{len(kept)} kept checkpoints", *(f"from {p.stem} on" for p in kept[:1]))
    if (run / "log.txt").exists():
        lines = (run / "log.txt").read_text().splitlines()
        told = [line for line in lines if line.lstrip().startswith(TOLD)]
        print("\n".join(["last messages:", *told[-SHOWN_REPORTS:]]))


def print_progress(run: Path, rows: list[Row]) -> None:
    """Clips so far, their speed, the last losses and all validations of late."""
    batch_size = json.loads(files_of(run).description.read_text())["config"]["batch_size"]
    plan = Plan.read(run) or Plan([])
    steps = int(rows[-1]["step"])
    reports = [row for row in rows if row["clips_per_second"]]
    print(f"{steps} steps, {plan.clips_before + steps * batch_size} clips")
    if reports:
        speeds = [float(row["clips_per_second"]) for row in reports[-SPEED_REPORTS:]]
        print(f"{fmean(speeds):.2f} clips per second lately")
    print_rows(reports[-SHOWN_REPORTS:], ("loss", "gradient_norm", "learning_rate"))
    validations = [row for row in rows if any(row[name] for name in row if is_score(name))]
    print_rows(validations[-SHOWN_REPORTS:], ("valid_", "noisy_"))


def is_score(name: str) -> bool:
    return name.startswith("valid_")


def print_rows(rows: list[Row], prefixes: tuple[str, ...]) -> None:
    """The cells of these rows whose column begins in one of these ways."""
    for row in rows:
        cells = [f"{n} {float(v):.4g}" for n, v in row.items() if v and n.startswith(prefixes)]
        print(f"  step {row['step']}: " + ", ".join(cells))


def average_kept(options: argparse.Namespace) -> None:
    """Write the mean of the newest kept checkpoints."""
    paths = kept_weights(options.run)[-options.last :]
    if not paths:
        raise SystemExit(f"{options.run}: no checkpoint is kept so far")
    average(paths, options.out)
    print(f"{options.out}: mean of {', '.join(path.stem for path in paths)}")


def pack(options: argparse.Namespace) -> None:
    """Copy what the run goes on from, or its averaged weights in float16 if that is too large."""
    run, out = options.run.resolve(), options.out
    names = packed_names(run)
    if not files_of(run).last_weights.exists():
        raise SystemExit(f"{run}: nothing is saved so far")
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir(parents=True)
    size_mb = sum((run / name).stat().st_size for name in names) / 1e6
    if size_mb <= options.most_mb:
        for name in names:
            shutil.copyfile(run / name, out / name)
        print(f"{out}: the whole state, {size_mb:.1f} MB")
        return
    print(f"the whole state is {size_mb:.1f} MB, more than {options.most_mb:.1f}")
    pack_weights(run, out)


def packed_names(run: Path) -> list[str]:
    """The files that a run goes on from; config.json and data.json are written anew by it."""
    files = files_of(run)
    weights = (files.last_weights, files.best_weights)
    paths = (files.run_state, *weights, files.metrics_file, Plan.file(run))
    return [path.name for path in paths if path.exists()]


def pack_weights(run: Path, out: Path) -> None:
    """The averaged weights, and a plan to go on from them with clips that were not heard yet."""
    model, info = load_checkpoint(files_of(run).last_weights)
    save_checkpoint(out / WEIGHTS, model, info, torch.float16)
    plan = Plan.read(run) or Plan(["--model", info.preset, *RECIPE])
    clips = plan.clips_before + info.training["clips"]
    # Clip i depends on the seed and i. A start from weights may not end for want of gains.
    anew = ["--seed", str(1 + clips), "--patience", "0"]
    Plan([*plan.options, *anew], plan.processes, clips).write(out)
    size_mb = (out / WEIGHTS).stat().st_size / 1e6
    print(f"{out}: the averaged weights alone, after {clips} clips, {size_mb:.1f} MB in float16")


def unpack(options: argparse.Namespace) -> None:
    """Lay out a run from what `pack` has kept; `start` goes on with it."""
    take_up(options.folder, options.run)
    print(f"{options.run}: {' '.join(sorted(path.name for path in options.run.iterdir()))}")


def take_up(folder: Path, run: Path) -> None:
    """Copy a packed run into an empty folder; packed weights become what it begins with."""
    if files_of(run).run_state.exists() or (run / WEIGHTS).exists():
        raise SystemExit(f"{run}: holds a run already")
    run.mkdir(parents=True, exist_ok=True)
    for path in folder.iterdir():
        shutil.copyfile(path, run / path.name)


def arguments() -> tuple[argparse.Namespace, list[str]]:
    """What is asked for, and the options that only `mbs train` knows."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    commands = parser.add_subparsers(required=True)

    def command(name: str, act: object, *positionals: str) -> argparse.ArgumentParser:
        added = commands.add_parser(name, help=act.__doc__, allow_abbrev=False)
        added.set_defaults(act=act)
        for positional in positionals:
            added.add_argument(positional, type=Path)
        return added

    starting = command("start", start, "run")
    starting.add_argument("--data", type=Path, required=True, help="what `mbs train` trains on")
    starting.add_argument("--cache", type=Path, help="decoded audio, as for `mbs train`")
    starting.add_argument("--model", help=f"a preset; a new run takes {MODEL}")
    starting.add_argument("--processes", type=int, help="of one thread each; a new run takes 2")
    starting.add_argument("--anew", action="store_true", help=f"leave {PACKED.name}/ alone")
    command("state", state, "run")
    stopping = command("stop", stop, "run")
    stopping.add_argument("--timeout-seconds", type=float, default=600.0)
    averaging = command("average", average_kept, "run")
    averaging.add_argument("--last", type=int, required=True, help="how many of the newest")
    averaging.add_argument("--out", type=Path, required=True)
    packing = command("pack", pack, "run")
    packing.add_argument("--out", type=Path, default=PACKED)
    packing.add_argument("--most-mb", type=float, default=PACKED_MB, help="of the whole state")
    command("unpack", unpack, "folder", "run")
    options, others = parser.parse_known_args()
    if others and options.act is not start:
        parser.error(f"unknown: {' '.join(others)}")
    return options, others


def main() -> None:
    options, others = arguments()
    if options.act is start:
        start(options, others)
    else:
        options.act(options)


if __name__ == "__main__":
    main()
