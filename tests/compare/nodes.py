"""Two real nodes: a home each, a process each, a line between them that counts."""

import json
import os
import resource
import shutil
import socket
import subprocess
import time

import measure

# How long nodes may take to start, to find each other, to stop, in seconds.
PATIENCE = 60


class Node:
    def __init__(self, program, place, code, kind, population, config=None, counted=True):
        self._program, self._place, self.code = program, place, code
        self._process = None
        self._starts = 0
        os.makedirs(place)
        port = measure.free_port()
        # Others reach it through the line that counts only, if there is one.
        self.wire = measure.Wire(port) if counted else None
        announced = self.wire.port if counted else port
        self.ok(
            *("init", "--ods", code, "--kind", kind, "--name", f"Compared {code}"),
            *("--listen", f"127.0.0.1:{port}", "--announce", f"127.0.0.1:{announced}"),
            *("--population", str(population), "--no-passphrase"),
            *("--exchange-contact", "Records desk", "--guardian", "Dr A. Moss"),
        )
        path = os.path.join(self.home, "config.toml")
        for what, by in (config or {}).items():
            with open(path) as file:
                text = file.read()
            if what not in text:
                raise RuntimeError(f"config.toml says nothing of {what}")
            with open(path, "w") as file:
                file.write(text.replace(what, by))

    @property
    def home(self):
        return os.path.join(self._place, "home")

    @property
    def pid(self):
        return self._process.pid

    def _environment(self):
        environment = dict(os.environ, FAIRSHARE_HOME=self.home, HOME=self._place, NO_COLOR="1")
        environment.pop("FAIRSHARE_LOG", None)
        environment.pop("NOTIFY_SOCKET", None)
        return environment

    def run(self, *arguments):
        return subprocess.run(
            [self._program, *arguments],
            cwd=self._place,
            env=self._environment(),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
        )

    def ok(self, *arguments):
        done = self.run(*arguments)
        if done.returncode != 0:
            raise RuntimeError(
                f"fairshare {' '.join(arguments)}: exit {done.returncode}\n{done.stdout}{done.stderr}"
            )
        return done.stdout

    def json(self, *arguments):
        return json.loads(self.ok(*arguments, "--json"))

    def start(self):
        """Starts the node, and waits until it says that it is ready."""
        self._starts += 1
        path = os.path.join(self._place, f"notify-{self._starts}")
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notify:
            notify.bind(path)
            notify.settimeout(PATIENCE)
            with open(os.path.join(self._place, "node.log"), "ab") as log:
                self._process = subprocess.Popen(
                    [self._program, "run", "--log", "warn"],
                    cwd=self._place,
                    env=dict(self._environment(), NOTIFY_SOCKET=path),
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL,
                    stderr=log,
                )
            try:
                notify.recv(64)
            except TimeoutError:
                raise RuntimeError(f"{self.code} did not start\n{self.log()}") from None

    def stop(self):
        self._process.terminate()
        if self._process.wait(PATIENCE) != 0:
            raise RuntimeError(f"{self.code} ended badly\n{self.log()}")
        self._process = None

    def kill(self):
        """Whatever it is at."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def end(self):
        if self.wire is not None:
            self.wire.close()
        self.kill()

    def log(self):
        with open(os.path.join(self._place, "node.log"), errors="replace") as file:
            return file.read()[-4000:]


def until(what, so):
    begun = time.monotonic()
    while not so():
        if time.monotonic() - begun > PATIENCE:
            raise RuntimeError(f"waited in vain until {what}")
        time.sleep(0.1)


class Pair:
    """A trust and a practice of one federation, which have met, with their people imported."""

    def __init__(self, program, place, files, counts, config=None, counted=True):
        self.nodes = []
        kinds = (("RH8", "acute-trust"), ("L83024", "gp-practice"))
        try:
            for (code, kind), count in zip(kinds, counts):
                where = os.path.join(place, code)
                self.nodes.append(Node(program, where, code, kind, count, config, counted))
            self._meet(place)
            for node, file in zip(self.nodes, files):
                node.ok("import", file)
            self._all("stop")
        except BaseException:
            self.end()
            raise

    def _all(self, act):
        for node in self.nodes:
            getattr(node, act)()

    def end(self):
        self._all("end")

    def _meet(self, place):
        trust, practice = self.nodes
        agreement = os.path.join(place, "agreement.txt")
        with open(agreement, "w") as file:
            file.write("We show each other what we hold.\n")
        trust.ok("federation", "found", "--name", "Compared", "--agreement", agreement)
        trust.start()
        practice.ok("join", trust.json("federation", "show")["invitation"])
        practice.start()
        until(
            "the request is brought",
            lambda: practice.code in trust.run("admissions", "--json").stdout,
        )
        trust.ok("admit", practice.code, "--yes")
        self._connected()

    def _connected(self):
        def met(node):
            peers = node.run("peers", "--json").stdout or "[]"
            return any(peer["connection"] == "up" for peer in json.loads(peers))

        until("the two are connected", lambda: all(map(met, self.nodes)))

    def match(self, prepared):
        """Matches once, in fresh processes, and measures both nodes from the command to its end.
        Nothing of it is left. With `prepared`, adverts are made before measuring starts."""
        self._keep()
        try:
            self._all("start")
            self._connected()
            if prepared:
                for node in self.nodes:
                    node.ok("index", "make")
                self._all("stop")
                self._all("start")
                self._connected()
            result = self._measured()
            self._all("stop")
        finally:
            self._return()
        return result

    def _measured(self):
        def cpu():
            command = resource.getrusage(resource.RUSAGE_CHILDREN)
            nodes = sum(measure.cpu(node.pid) for node in self.nodes)
            return nodes + command.ru_utime + command.ru_stime

        def bytes_between():
            return sum(node.wire.bytes for node in self.nodes)

        def disk():
            return [measure.disk(node.home) for node in self.nodes]

        trust, practice = self.nodes
        before, on_disk, passed = cpu(), disk(), bytes_between()
        begun = time.monotonic()
        report = practice.json("match", trust.code)[0]
        wall = time.monotonic() - begun
        # Whatever the other side still has to write down is part of it.
        time.sleep(2)
        if report["failed"]:
            raise RuntimeError(f"no match: {report['failed']}")
        return {
            "cpu": cpu() - before,
            "wall": wall,
            "bytes": bytes_between() - passed,
            "peak": [measure.peak(node.pid) for node in self.nodes],
            "disk": [after - was for after, was in zip(disk(), on_disk)],
            "links": report["found"]["links"],
        }

    def _keep(self):
        for node in self.nodes:
            copy = ["cp", "-a", "--reflink=auto", node.home, f"{node.home}.kept"]
            subprocess.run(copy, check=True)

    def _return(self):
        for node in self.nodes:
            node.kill()
            shutil.rmtree(node.home)
            os.rename(f"{node.home}.kept", node.home)
