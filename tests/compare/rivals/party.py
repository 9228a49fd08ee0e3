"""What every party of a rival is told, and what it reports."""

import argparse
import contextlib
import json
import os
import resource
import time

import measure
import people


def arguments():
    told = argparse.ArgumentParser()
    told.add_argument("--rank", type=int, required=True)
    told.add_argument("--set", required=True)
    told.add_argument("--own", type=int, required=True, help="port to listen on")
    told.add_argument("--peer", type=int, required=True, help="port where the other is")
    told.add_argument("--report", required=True)
    told.add_argument("--curve")
    return told.parse_args()


def keys(arguments):
    return people.read_keys(arguments.set)


def _cpu():
    used = (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    used = [resource.getrusage(who) for who in used]
    return sum(one.ru_utime + one.ru_stime for one in used)


@contextlib.contextmanager
def measured(arguments):
    """Measures what is done inside; the report appears when that is done."""
    report = {"links": None}
    cpu, begun = _cpu(), time.monotonic()
    yield report
    report["cpu"], report["wall"] = _cpu() - cpu, time.monotonic() - begun
    report["peak"] = measure.peak()
    with open(f"{arguments.report}.part", "w") as file:
        json.dump(report, file)
    os.rename(f"{arguments.report}.part", arguments.report)
