"""Our match beside what people would pick instead: same sets, same machine, one after the other."""

import argparse
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time

import measure
import nodes
import paper
import people

HERE = os.path.dirname(os.path.abspath(__file__))
# How long the parties of a rival may take after the first is done, in seconds.
PATIENCE = 120

OURS_FRESH = "Fairshare, adverts made in the run"
OURS = "Fairshare, adverts made before"
OPENMINED = "OpenMined PSI, one-sided"
SECRETFLOW = "SecretFlow ECDH, curve25519"
FOURQ = "SecretFlow ECDH, FourQ"
# By what `--only` calls them: name, module, curve.
RIVALS = {
    "openmined": (OPENMINED, "openmined", None),
    "secretflow": (SECRETFLOW, "secretflow", "CURVE_25519"),
    "fourq": (FOURQ, "secretflow", "CURVE_FOURQ"),
}
ALL = ["fairshare", *RIVALS]


def number(text):
    unit = {"k": 1000, "m": 1_000_000}.get(text[-1:].lower(), 1)
    return int(float(text[:-1] if unit > 1 else text) * unit)


def sizes(text):
    """`100k` is two lists of 100,000; `2mx200k` is one of two million and one of 200,000."""
    found = []
    for size in text.split(","):
        counts = [number(count) for count in size.lower().split("x")]
        if len(counts) > 2 or min(counts) < 10:
            raise argparse.ArgumentTypeError(f"{size} is no size")
        found.append((counts[0], counts[-1]))
    return found


def told():
    told = argparse.ArgumentParser(prog="tests/compare/run", description=__doc__)
    told.add_argument(
        "--sizes",
        type=sizes,
        default=sizes("10k,100k,1m"),
        help="such as 10k,100k,2mx200k (default: 10k,100k,1m)",
    )
    told.add_argument(
        "--only",
        choices=ALL,
        action="append",
        help="leave the others out; may be given several times",
    )
    told.add_argument("--json", metavar="FILE", help="write every figure to FILE")
    told.add_argument(
        "--paper",
        action="store_true",
        help="from the largest size measured: what a region and all England would take",
    )
    told.add_argument(
        "--organisations",
        metavar="FILE",
        help="with --paper: a CSV of organisations with the columns kind, icb_ods_code and people",
    )
    told.add_argument("--fairshare", metavar="FILE", required=True, help=argparse.SUPPRESS)
    asked = told.parse_args()
    asked.fairshare = os.path.abspath(asked.fairshare)
    asked.only = asked.only or ALL
    if asked.paper and "fairshare" not in asked.only:
        told.error("--paper reckons from our own match: leave --only out, or name fairshare too")
    return asked


def rival(module, curve, place, sets):
    """Runs both parties of a rival; gives what they used."""
    own = [measure.free_port() for _ in sets]
    wires = [measure.Wire(port) for port in own]
    reports = [os.path.join(place, f"{rank}.json") for rank in (0, 1)]
    # What they leave in temporary places goes when `place` goes.
    environment = dict(os.environ, PYTHONPATH=HERE, TMPDIR=place)
    parties = []
    try:
        for rank, file in enumerate(sets):
            command = [sys.executable, "-m", f"rivals.{module}", "--rank", str(rank), "--set", file]
            command += [
                "--own",
                str(own[rank]),
                "--peer",
                str(wires[1 - rank].port),
                "--report",
                reports[rank],
            ]
            command += ["--curve", curve] if curve else []
            with open(os.path.join(place, f"{rank}.log"), "w") as log:
                parties.append(
                    subprocess.Popen(
                        command,
                        env=environment,
                        stdin=subprocess.DEVNULL,
                        stdout=log,
                        stderr=log,
                        cwd=place,
                    )
                )
        wait(parties, place)
    finally:
        for party in parties:
            party.kill()
            party.wait()
        for wire in wires:
            wire.close()
    done = []
    for report in reports:
        with open(report) as file:
            done.append(json.load(file))
    links = {one["links"] for one in done} - {None}
    if len(links) != 1:
        raise RuntimeError(f"the parties disagree: {links}")
    return {
        "cpu": sum(one["cpu"] for one in done),
        "wall": max(one["wall"] for one in done),
        "bytes": sum(wire.bytes for wire in wires),
        "peak": [one["peak"] for one in done],
        "links": links.pop(),
    }


def wait(parties, place):
    """Until both parties end well; if one fails, or stays long after the other, so does this."""
    alone_since = None
    while any(party.poll() is None for party in parties):
        for rank, party in enumerate(parties):
            if party.poll():
                with open(os.path.join(place, f"{rank}.log"), errors="replace") as file:
                    raise RuntimeError(
                        f"party {rank}: exit {party.returncode}\n{file.read()[-4000:]}"
                    )
        if any(party.poll() == 0 for party in parties):
            alone_since = alone_since or time.monotonic()
            if time.monotonic() - alone_since > PATIENCE:
                raise RuntimeError("one party is done and the other does not end")
        time.sleep(0.05)
    if any(party.returncode for party in parties):
        raise RuntimeError(f"exit {[party.returncode for party in parties]}, from the parties")


def one_size(asked, counts, place):
    """Every program on the same two sets."""
    both, ours, keys = made(place, counts)
    results = {}

    def take(name, run):
        say(f"{label(counts)}: {name} …")
        result = run()
        if result["links"] != both:
            raise RuntimeError(f"{name} found {result['links']} people in both where {both} are")
        results[name] = result
        say(f"    {result['cpu']:.2f} s of CPU, {result['wall']:.2f} s")

    if "fairshare" in asked.only:
        say(f"{label(counts)}: importing …")
        where = os.path.join(place, "nodes")
        pair = nodes.Pair(asked.fairshare, where, ours, counts)
        try:
            take(OURS_FRESH, lambda: pair.match(prepared=False))
            take(OURS, lambda: pair.match(prepared=True))
        finally:
            pair.end()
            shutil.rmtree(where, ignore_errors=True)
    for called, (name, module, curve) in RIVALS.items():
        if called in asked.only:
            with tempfile.TemporaryDirectory(dir=place) as where:
                take(name, lambda: rival(module, curve, where, keys))
    return {"sizes": counts, "both": both, "results": results}


def made(place, counts):
    """Writes both sets: as Patients for us, as keys for the others."""
    first, second, both = people.sets(*counts)
    ours, keys = [], []
    for name, somebody in (("first", first), ("second", second)):
        ours.append(os.path.join(place, f"{name}.ndjson"))
        keys.append(os.path.join(place, f"{name}.csv"))
        people.write_patients(ours[-1], somebody)
        people.write_keys(keys[-1], somebody)
    return both, ours, keys


def say(what):
    print(what, file=sys.stderr, flush=True)


def label(counts):
    return " x ".join(f"{count:,}" for count in counts)


def show(measured):
    counts, results = measured["sizes"], measured["results"]
    entries = sum(counts)
    print(f"\n{label(counts)} people, {measured['both']:,} of them in both")
    head = ("", "CPU s", "µs/person", "wall s", "MB", "bytes/person", "peak MiB of each")
    print("{:36}{:>9}{:>11}{:>9}{:>9}{:>14}{:>18}".format(*head))
    for name, it in results.items():
        peaks = " + ".join(f"{peak / 2**20:.0f}" for peak in it["peak"])
        print(
            f"{name:36}{it['cpu']:9.2f}{it['cpu'] / entries * 1e6:11.1f}{it['wall']:9.2f}"
            f"{it['bytes'] / 1e6:9.2f}{it['bytes'] / entries:14.1f}{peaks:>18}"
        )


def bars(measured):
    """The ratios the project holds itself to: what, ratio, at most, whether that size counts."""
    results, counts = measured["results"], measured["sizes"]
    fresh, prepared = results.get(OURS_FRESH), results.get(OURS)
    found = []

    def ratio(what, ours, other, most):
        if ours and other:
            found.append((what, ours["cpu"] / other, most))

    def cpu(name, times=1):
        return results[name]["cpu"] * times if name in results else None

    at_bar = counts == (100_000, 100_000)
    ratio(
        "CPU, adverts made in the run / OpenMined twice, so that both learn",
        fresh,
        cpu(OPENMINED, 2),
        0.2 if at_bar else None,
    )
    ratio(
        "CPU, adverts made before / SecretFlow curve25519",
        prepared,
        cpu(SECRETFLOW),
        1.25 if at_bar else None,
    )
    ratio("CPU, adverts made before / SecretFlow FourQ", prepared, cpu(FOURQ), None)
    if fresh:
        most = 64 if min(counts) >= 10_000 else None
        found.append(
            ("bytes, adverts included / people in both lists", fresh["bytes"] / sum(counts), most)
        )
    return found


def show_bars(measured):
    held = True
    for what, ratio, most in bars(measured):
        if most is None:
            verdict = ""
        else:
            verdict = f"at most {most:g}: " + ("held" if ratio <= most else "NOT HELD")
            held &= ratio <= most
        print(f"  {what:70}{ratio:9.3f}  {verdict}")
    return held


def machine():
    with open("/proc/cpuinfo") as file:
        lines = [
            line.split(":", 1)[-1].strip()
            for line in file
            if line.startswith(("model name", "flags"))
        ]
    flags = lines[1].split()
    vector = "AVX-512 IFMA" if "avx512ifma" in flags else "AVX2" if "avx2" in flags else "no AVX2"
    cores, load = len(os.sched_getaffinity(0)), os.getloadavg()[0]
    return f"{lines[0]}, {vector}, {cores} cores, load {load:.1f} at the start"


def main():
    asked = told()
    done = {"machine": machine(), "measured": []}
    print(done["machine"], flush=True)
    if os.getloadavg()[0] > 0.5:
        say(
            "Others use this machine: walls will be long, and CPU times too where cores are shared."
        )
    held = True
    with tempfile.TemporaryDirectory(prefix="fairshare-compare-") as place:
        for counts in asked.sizes:
            where = os.path.join(place, "x".join(map(str, counts)))
            os.mkdir(where)
            measured = one_size(asked, counts, where)
            shutil.rmtree(where)
            done["measured"].append(measured)
            show(measured)
            held &= show_bars(measured)
            if asked.json:
                with open(asked.json, "w") as file:
                    json.dump(done, file, indent=1)
    if asked.paper:
        paper.show(done["measured"][-1], asked.organisations)
    return 0 if held else 1


def ran(main):
    """Runs a comparison as a program, to its exit code."""
    # Told to stop, it cleans up as well.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        sys.exit(main())
    except (RuntimeError, OSError, subprocess.SubprocessError) as error:
        sys.exit(f"error: {error}")
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    ran(main)
