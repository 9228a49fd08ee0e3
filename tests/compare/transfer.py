"""Our transfers beside what people would pick instead: same bytes, same machine, one after the other."""

import argparse
import contextlib
import json
import os
import resource
import shutil
import statistics
import subprocess
import tempfile
import time

import measure
import nodes
import people
from compare import machine, ran, say

SYSTEM = "https://fhir.nhs.uk/Id/nhs-number"
BY_ASK = "Fairshare, by ask"
BY_ROUND = "Fairshare, by reconcile"
PLAIN = "plain libp2p stream, a node's line, BLAKE3"
IROH = "iroh-blobs 0.104, file store"
TLS = "rustls over TCP, BLAKE3"
HTTP = "nginx, HTTPS"
RIVALS = {"libp2p": PLAIN, "iroh": IROH, "rustls": TLS, "http": HTTP}
ALL = ["ask", "reconcile", *RIVALS]
MIB = 2**20
# How long others may take to be ready, in seconds.
PATIENCE = 60


def told():
    told = argparse.ArgumentParser(prog="tests/compare/transfer/run", description=__doc__)
    told.add_argument("--large", type=int, default=1024, metavar="MIB", help="one document of so many MiB")
    told.add_argument("--small", type=int, default=2000, metavar="N", help="people with a letter each")
    told.add_argument("--letter", type=int, default=20_000, metavar="BYTES", help="bytes of a letter")
    told.add_argument("--times", type=int, default=3, help="how often each; medians are compared")
    told.add_argument("--only", choices=ALL, action="append", help="leave the others out")
    told.add_argument("--json", metavar="FILE", help="write every figure to FILE")
    told.add_argument("--fairshare", required=True, help=argparse.SUPPRESS)
    told.add_argument("--rivals", required=True, help=argparse.SUPPRESS)
    asked = told.parse_args()
    asked.only = asked.only or ALL
    return asked


def write_person(folder, at, person, letter):
    """One person as a site holds them: active, with a letter in a file beside."""
    number, born = person
    os.makedirs(folder, exist_ok=True)
    subject = {"reference": f"Patient/p{at}"}
    report = {
        "resourceType": "DiagnosticReport",
        "id": f"r{at}",
        "status": "final",
        "code": {"text": "Letter"},
        "subject": subject,
    }
    if letter:
        report["presentedForm"] = [{"contentType": "application/pdf", "url": letter}]
    records = [
        {
            "resourceType": "Patient",
            "id": f"p{at}",
            "identifier": [{"system": SYSTEM, "value": number}],
            "birthDate": born,
        },
        {
            "resourceType": "CarePlan",
            "id": f"c{at}",
            "status": "active",
            "intent": "plan",
            "subject": subject,
        },
        report,
    ]
    for record in records:
        with open(os.path.join(folder, f"{record['resourceType']}.ndjson"), "a") as file:
            file.write(json.dumps(record) + "\n")


def write_bytes(path, count):
    """Bytes that do not compress."""
    with open("/dev/urandom", "rb") as source, open(path, "wb") as sink:
        while count > 0:
            chunk = source.read(min(count, MIB))
            sink.write(chunk)
            count -= len(chunk)


class Site:
    """Both nodes with these records, matched; each measurement begins with fresh processes."""

    def __init__(self, program, place, folders, count, largest):
        config = {"max_bundle = 268435456": f"max_bundle = {largest}"}
        # Nothing stands between them: what the others do not pass through, ours does not.
        self.pair = nodes.Pair(program, place, folders, (count, count), config, counted=False)
        self.pair._all("start")
        self.pair._connected()
        self.pair.nodes[1].ok("match", "RH8")
        self.pair._all("stop")

    def measured(self, run):
        """Runs on fresh processes and gives what both nodes and the command used; what was there
        before is there again afterwards."""
        pair = self.pair
        pair._keep()
        try:
            pair._all("start")
            pair._connected()
            # The copies just made would go to the disk meanwhile.
            os.sync()
            before = self._cpu()
            resting = [measure.peak(node.pid) for node in pair.nodes]
            begun = time.monotonic()
            run(pair.nodes)
            wall = time.monotonic() - begun
            result = {
                "wall": wall,
                "cpu": self._cpu() - before,
                "peak": [measure.peak(node.pid) for node in pair.nodes],
                "more": [measure.peak(node.pid) - was for node, was in zip(pair.nodes, resting)],
            }
            pair._all("stop")
        finally:
            pair._return()
        return result

    def _cpu(self):
        command = resource.getrusage(resource.RUSAGE_CHILDREN)
        running = sum(measure.cpu(node.pid) for node in self.pair.nodes)
        return running + command.ru_utime + command.ru_stime


def ask(person, size):
    def run(both):
        number, born = person
        program = both[1]
        done = subprocess.run(
            [program._program, "ask", "--from", "RH8", "--json"],
            input=f"{number}\n{born}\n",
            env=program._environment(),
            capture_output=True,
            text=True,
        )
        if done.returncode != 0:
            raise RuntimeError(done.stdout + done.stderr)
        came = program.json("received", "list")
        if sum(bundle["bytes"] for bundle in came) < size:
            raise RuntimeError(f"less came than was to: {came}")

    return run


def reconcile(people, size):
    def run(both):
        report = both[1].json("reconcile", "RH8")["round"]
        if report["people"] != people or report["state"] != "done":
            raise RuntimeError(f"not everybody: {report}")
        came = sum(bundle["bytes"] for bundle in both[1].json("received", "list"))
        if came < size:
            raise RuntimeError(f"{came} bytes came, of {size}")

    return run


@contextlib.contextmanager
def serving(asked, kind, files, place):
    """Somebody serves the files: gives their process ids, and where to get them."""
    if kind == "http":
        with nginx(asked, files, place) as served:
            yield served
        return
    process = subprocess.Popen(
        [asked.rivals, "serve", kind, *files],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=dict(os.environ, TMPDIR=place),
    )
    try:
        line = process.stdout.readline().strip()
        if not line:
            raise RuntimeError(f"{kind} does not serve")
        yield [process.pid], line
    finally:
        process.stdin.close()
        process.wait(PATIENCE)


@contextlib.contextmanager
def nginx(asked, files, place):
    root = os.path.join(place, "nginx")
    os.makedirs(root)
    for at, file in enumerate(files):
        os.link(file, os.path.join(root, str(at)))
    subprocess.run([asked.rivals, "certificate", root], check=True)
    port = measure.free_port()
    with open(os.path.join(root, "nginx.conf"), "w") as file:
        file.write(
            f"""
            daemon off; pid {root}/pid; error_log {root}/error.log; worker_processes 2;
            user root;
            events {{ worker_connections 64; }}
            http {{
              access_log off; sendfile on; keepalive_requests 1000000;
              client_body_temp_path {root}/t1; proxy_temp_path {root}/t2; fastcgi_temp_path {root}/t3;
              uwsgi_temp_path {root}/t4; scgi_temp_path {root}/t5;
              server {{
                listen 127.0.0.1:{port} ssl; root {root};
                ssl_certificate {root}/cert.pem; ssl_certificate_key {root}/key.pem;
              }}
            }}"""
        )
    process = subprocess.Popen(["nginx", "-c", f"{root}/nginx.conf", "-e", f"{root}/error.log"])
    try:
        time.sleep(1)
        if process.poll() is not None:
            raise RuntimeError("nginx does not run")
        listed = subprocess.run(["pgrep", "-P", str(process.pid)], capture_output=True, text=True)
        yield [process.pid, *map(int, listed.stdout.split())], f"{len(files)} {port} {root}/cert.pem"
    finally:
        process.terminate()
        process.wait(PATIENCE)


def rival(asked, kind, files, place):
    """One of the others moves the files once."""
    where = os.path.join(place, "into")
    os.mkdir(where)
    try:
        with serving(asked, kind, files, place) as (served_by, at):
            os.sync()
            before = sum(map(measure.cpu, served_by))
            resting = max(map(measure.peak, served_by))
            process = subprocess.Popen(
                [asked.rivals, "get", kind, at, where], stdout=subprocess.PIPE, text=True
            )
            said = process.stdout.read()
            _, status, used = os.wait4(process.pid, 0)
            if status != 0:
                raise RuntimeError(f"{kind}: the receiver failed")
            cpu = sum(map(measure.cpu, served_by)) - before + used.ru_utime + used.ru_stime
            # Its own word: what wait4 tells of a child is no less than what this process has.
            seconds, was, most = said.split()
            peak = [max(map(measure.peak, served_by)), int(most)]
            more = [peak[0] - resting, int(most) - int(was)]
        return {"wall": float(seconds), "cpu": cpu, "peak": peak, "more": more}
    finally:
        shutil.rmtree(where)
        shutil.rmtree(os.path.join(place, "nginx"), ignore_errors=True)


def compared(asked, what, ours, files, size, place):
    """Each once, then each again, so that a busy moment hits none alone."""
    runs = dict(ours)
    for kind, name in RIVALS.items():
        if kind not in asked.only:
            continue
        if kind == "http" and not shutil.which("nginx"):
            say("SKIPPED: nginx is not installed; nothing is compared with it")
            continue
        runs[name] = lambda kind=kind: rival(asked, kind, files, place)
    results = {name: [] for name in runs}
    for turn in range(asked.times):
        for name, run in runs.items():
            result = run()
            results[name].append(result)
            say(f"{what} {turn + 1}: {name} {size / MIB / result['wall']:.0f} MiB/s")
    return {name: middle(all_of) for name, all_of in results.items()}


def middle(results):
    """Medians of time, and the most memory."""
    found = {key: statistics.median(it[key] for it in results) for key in ("wall", "cpu")}
    for key in ("peak", "more"):
        found[key] = [max(peaks) for peaks in zip(*(it[key] for it in results))]
    return found


def large(asked, place):
    size = asked.large * MIB
    person, *_ = people.sets(10, 10)[0]
    folders = [os.path.join(place, code) for code in ("trust", "practice")]
    write_person(folders[0], 0, person, "large.bin")
    write_person(folders[1], 0, person, None)
    file = os.path.join(folders[0], "large.bin")
    write_bytes(file, size)
    ours, site = {}, None
    try:
        if {"ask", "reconcile"} & set(asked.only):
            say("importing one large document, and matching …")
            site = Site(asked.fairshare, os.path.join(place, "nodes"), folders, 2000, 4 * size)
        if "ask" in asked.only:
            ours[BY_ASK] = lambda: site.measured(ask(person, size))
        if "reconcile" in asked.only:
            ours[BY_ROUND] = lambda: site.measured(reconcile(1, size))
        return size, compared(asked, "large", ours, [file], size, place)
    finally:
        if site:
            site.pair.end()


def small(asked, place):
    """Both sides show a letter of everybody: twice the bytes of one direction."""
    size = asked.small * asked.letter
    everybody = people.sets(asked.small, 10)[0]
    folders = [os.path.join(place, code) for code in ("trust", "practice")]
    files = []
    for side, folder in enumerate(folders):
        for at, person in enumerate(everybody):
            write_person(folder, at, person, f"{at}.bin")
            files.append(os.path.join(folder, f"{at}.bin"))
            write_bytes(files[-1], asked.letter)
    ours, site = {}, None
    try:
        if "reconcile" in asked.only:
            say("importing many small letters, and matching …")
            site = Site(asked.fairshare, os.path.join(place, "nodes"), folders, 5000, 4 * MIB)
            ours[BY_ROUND] = lambda: site.measured(reconcile(asked.small, size))
        return 2 * size, compared(asked, "small", ours, files, 2 * size, place)
    finally:
        if site:
            site.pair.end()


def show(title, size, results):
    print(f"\n{title}")
    head = ("", "MiB/s", "wall s", "CPU s", "peak MiB of each", "of it, for this")
    print("{:46}{:>8}{:>9}{:>8}{:>18}{:>17}".format(*head))
    for name, it in results.items():
        both = lambda key: " + ".join(f"{peak / MIB:.0f}" for peak in it[key])
        print(
            f"{name:46}{size / MIB / it['wall']:8.0f}{it['wall']:9.2f}{it['cpu']:8.2f}"
            f"{both('peak'):>18}{both('more'):>17}"
        )


def bars(results):
    """Rates as ratios, and whether they are what the project holds itself to."""
    held = True
    for ours, other, least in (
        (BY_ASK, PLAIN, 0.8),
        (BY_ASK, IROH, 1.2),
        (BY_ASK, TLS, None),
        (BY_ASK, HTTP, None),
        (BY_ROUND, PLAIN, 0.5),
        (BY_ROUND, IROH, None),
        (BY_ROUND, TLS, None),
        (BY_ROUND, HTTP, None),
    ):
        if ours in results and other in results:
            ratio = results[other]["wall"] / results[ours]["wall"]
            verdict = ""
            if least is not None:
                verdict = f"at least {least:g}: " + ("held" if ratio >= least else "NOT HELD")
                held &= ratio >= least
            print(f"  {ours} / {other:52}{ratio:7.2f}  {verdict}")
    return held


def main():
    asked = told()
    done = {"machine": machine()}
    print(done["machine"], flush=True)
    held = True
    with tempfile.TemporaryDirectory(prefix="fairshare-transfer-") as place:
        if asked.large:
            where = os.path.join(place, "large")
            os.mkdir(where)
            size, results = large(asked, where)
            shutil.rmtree(where)
            show(f"One document of {asked.large} MiB, to the receiver's disk and fsynced", size, results)
            held &= bars(results)
            done["large"] = results
        if asked.small:
            where = os.path.join(place, "small")
            os.mkdir(where)
            size, results = small(asked, where)
            show(
                f"{asked.small:,} people with a letter of {asked.letter:,} bytes on either side,"
                " each fsynced",
                size,
                results,
            )
            rates = results.get(BY_ROUND)
            if rates:
                print(f"  by reconcile: {asked.small / rates['wall']:.0f} people/s, both ways")
            done["small"] = results
    if asked.json:
        with open(asked.json, "w") as file:
            json.dump(done, file, indent=1)
    return 0 if held else 1


if __name__ == "__main__":
    ran(main)
