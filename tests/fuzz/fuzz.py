# SPDX-License-Identifier: BSL-1.0
"""Runs the fuzz targets: ./run fuzz [TARGET...] [--seconds N] [--planted] [--minimise] [--list]

Each target starts from its committed corpus in tests/fuzz/corpus/TARGET; what it finds out goes to
build/fuzz/work/TARGET. An input that breaks a rule is a finding: it is kept there, and the exit status is 1.

  --seconds N  for each target (default 10)
  --planted    each target with its planted bug on, without a corpus: it must be found within N seconds (default 60)
  --minimise   replace the corpora by the smallest set of inputs that reaches the same edges
  --list       the names of the targets
"""
import argparse
import os
import pathlib
import re
import shutil
import subprocess
import sys
import time

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
BUILD = ROOT / "build" / "fuzz"
TARGETS = sorted(path.stem for path in HERE.glob("*.cpp"))
# The longest input in bytes where it is not 600: what a target does for each byte differs.
MAX_LENGTH = {"frame_header": 20, "server": 300, "utf8": 200}
# Above what any input may cost. A single allocation over the limit is one that trusts a length that a peer told.
LIMITS = ["-timeout=10", "-rss_limit_mb=2048", "-malloc_limit_mb=64"]


def say(text):
    print(text, flush=True)


def build(targets, directory):
    def run(*command):
        done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        if done.returncode != 0:
            sys.exit(done.stdout[-8000:] + "\nfuzz: it did not build")

    run("cmake", "--preset", "fuzz", "-B", str(directory))
    jobs = os.environ.get("CMAKE_BUILD_PARALLEL_LEVEL", str(os.cpu_count()))
    run("cmake", "--build", str(directory), "-j", jobs, "--target", *("hawser_fuzz_" + name for name in targets))


def command(name, directory, *more):
    dictionary = HERE / (name + ".dict")
    line = [str(directory / "tests" / "fuzz" / name), *LIMITS, f"-max_len={MAX_LENGTH.get(name, 600)}", *more]
    return line + ([f"-dict={dictionary}"] if dictionary.exists() else [])


def execute(line, planted=False):
    environment = dict(os.environ)
    environment.pop("HAWSER_FUZZ_PLANTED", None)
    if planted:
        environment["HAWSER_FUZZ_PLANTED"] = "1"
    symbolizer = "/usr/bin/llvm-symbolizer-19"
    if os.path.exists(symbolizer):
        environment.setdefault("ASAN_OPTIONS", "external_symbolizer_path=" + symbolizer)
        environment.setdefault("UBSAN_OPTIONS", "print_stacktrace=1:external_symbolizer_path=" + symbolizer)
    started = time.monotonic()
    done = subprocess.run(line, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, errors="replace")
    return done.returncode, done.stdout, time.monotonic() - started


def last(pattern, text, default="?"):
    found = re.findall(pattern, text)
    return found[-1] if found else default


def why(output):
    return last(r"FUZZ: broken: (.*)", output, last(r"(?:ERROR|runtime error): (.*)", output))


def fuzz(name, directory, seconds):
    """Returns whether no input broke a rule."""
    work = directory / "work" / name
    (work / "corpus").mkdir(parents=True, exist_ok=True)
    line = command(name, directory, f"-max_total_time={seconds}", f"-artifact_prefix={work}/", "-print_final_stats=1",
                   "-len_control=20", str(work / "corpus"), *corpus(name))
    status, output, took = execute(line)
    executions = int(last(r"stat::number_of_executed_units: (\d+)", output, "0"))
    edges = last(r"cov: (\d+)", output)
    say(f"{name:16} {executions / max(took, 0.001):9,.0f} executions/s {executions:11,} in all {edges:>6} edges   "
        + ("no finding" if status == 0 else f"FINDING: {why(output)}"))
    if status != 0:
        say(output[-6000:])
        say(f"again: {line[0]} " + last(r"Test unit written to (\S+)", output))
    return status == 0


def corpus(name):
    directory = HERE / "corpus" / name
    return [str(directory)] if directory.is_dir() else []


def planted(name, directory, seconds):
    """Returns whether the planted bug was found."""
    work = directory / "work" / name
    work.mkdir(parents=True, exist_ok=True)
    line = command(name, directory, f"-max_total_time={seconds}", f"-artifact_prefix={work}/planted-", "-seed=1",
                   "-print_final_stats=1", "-len_control=0")
    status, output, took = execute(line, planted=True)
    executions = int(last(r"stat::number_of_executed_units: (\d+)", output, "0"))
    bug = last(r"planted = bug::(\w+)", (HERE / (name + ".cpp")).read_text())
    say(f"{name:16} {bug:26} " + (f"found in {took:.1f} s, {executions:,} executions: {why(output)}" if status != 0
                                  else f"NOT FOUND in {took:.1f} s, {executions:,} executions"))
    return status != 0


def minimise(name, directory):
    """The smallest inputs that together reach all edges; how often is not counted, so that they are few."""
    work, new = directory / "work" / name / "corpus", directory / "work" / name / "minimised"
    shutil.rmtree(new, ignore_errors=True)
    new.mkdir(parents=True)
    work.mkdir(exist_ok=True)
    status, output, _ = execute(command(name, directory, "-merge=1", "-use_counters=0", str(new), str(work), *corpus(name)))
    if status != 0:
        say(output[-4000:])
        return False
    target = HERE / "corpus" / name
    shutil.rmtree(target, ignore_errors=True)
    shutil.copytree(new, target)
    files = list(target.iterdir())
    say(f"{name:16} {len(files)} inputs, {sum(f.stat().st_size for f in files):,} bytes")
    return True


def main():
    parser = argparse.ArgumentParser(prog="./run fuzz", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("targets", nargs="*", metavar="TARGET", help="all if none is named: " + ", ".join(TARGETS))
    parser.add_argument("--seconds", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--planted", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--minimise", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--list", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--build", type=pathlib.Path, default=BUILD, help=argparse.SUPPRESS)
    options = parser.parse_args()
    unknown = [name for name in options.targets if name not in TARGETS]
    if unknown:
        parser.error(f"unknown target '{unknown[0]}'; the targets are {', '.join(TARGETS)}")
    targets = options.targets or TARGETS
    if options.list:
        return say("\n".join(TARGETS)) or 0
    build(targets, options.build)
    good = 0
    for name in targets:
        if options.planted:
            good += planted(name, options.build, options.seconds or 60)
        elif options.minimise:
            good += minimise(name, options.build)
        else:
            good += fuzz(name, options.build, options.seconds or 10)
    bad = len(targets) - good
    say(f"{len(targets)} targets, " + ("all planted bugs found" if options.planted and not bad else
                                       f"{bad} planted bugs not found" if options.planted else
                                       "done" if options.minimise and not bad else f"{bad} with a finding"))
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
