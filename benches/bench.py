"""What the benchmarks share: processes that are pinned and ended by their id, CPU time, and results.

Everything listens on loopback, runs for a bounded time, and is stopped at the end.
"""

import atexit
import http.client
import json
import os
import platform
import shutil
import socket
import ssl
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.parse

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
FUUFFY = os.path.join(ROOT, "target", "release", "fuuffy")
TICK = os.sysconf("SC_CLK_TCK")
_running = []


def say(text):
    print(text, file=sys.stderr, flush=True)


def build():
    say("Building the release binary")
    subprocess.run(["cargo", "build", "--release", "--locked", "-p", "fuuffy"], cwd=ROOT, check=True)


def need(**packages):
    """Installs Debian packages for commands that are missing: command=package."""
    missing = [package for command, package in packages.items() if shutil.which(command) is None]
    if not missing:
        return
    if shutil.which("apt-get") is None or os.geteuid() != 0:
        sys.exit("Install " + ", ".join(missing) + ", then run this again.")
    say("Installing " + ", ".join(missing))
    env = dict(os.environ, DEBIAN_FRONTEND="noninteractive")
    subprocess.run(["apt-get", "update", "-q"], check=True, stdout=sys.stderr, env=env)
    subprocess.run(["apt-get", "install", "-qy", "--no-install-recommends", *missing], check=True, stdout=sys.stderr, env=env)


def folder():
    path = tempfile.mkdtemp(prefix="fuuffy-bench-")
    os.chmod(path, 0o755)
    atexit.register(shutil.rmtree, path, ignore_errors=True)
    return path


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def start(command, core=None, **options):
    if core is not None:
        command = ["taskset", "-c", str(core), *command]
    process = subprocess.Popen(command, **options)
    _running.append(process)
    return process


def stop(process):
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
    if process in _running:
        _running.remove(process)


@atexit.register
def stop_all():
    for process in list(_running):
        stop(process)


def wait_for_port(port, seconds=20):
    for _ in range(seconds * 50):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.02)
    sys.exit(f"nothing listens on port {port}")


def descendants(pid):
    try:
        with open(f"/proc/{pid}/task/{pid}/children") as children:
            direct = [int(child) for child in children.read().split()]
    except FileNotFoundError:
        return []
    return direct + [further for child in direct for further in descendants(child)]


def cpu_seconds(pid):
    """User and system time of a process and its children."""
    total = 0
    for one in [pid, *descendants(pid)]:
        with open(f"/proc/{one}/stat") as stat:
            fields = stat.read().rsplit(")", 1)[1].split()
        total += int(fields[11]) + int(fields[12])
    return total / TICK


def resident_bytes(pid):
    with open(f"/proc/{pid}/status") as status:
        for line in status:
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) * 1024
    return 0


def cargo_bench(package, name):
    """A benchmark of a crate, built like the product."""
    say(f"Building the benchmark {name} of {package}")
    command = ["cargo", "bench", "--no-run", "--locked", "-p", package, "--bench", name, "--message-format", "json"]
    output = subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True).stdout
    messages = [json.loads(line) for line in output.splitlines() if line.startswith("{")]
    return [it["executable"] for it in messages if it.get("executable") and it["target"]["name"] == name][-1]


def support():
    """The helper that knows the inside."""
    return cargo_bench("fuuffy", "support")


def start_ready(command, data, core=None):
    """Starts a server and answers it with what its ready line says."""
    process = start(command, core, stdout=subprocess.PIPE, stderr=open(os.path.join(data, "log"), "w"))
    line = process.stdout.readline()
    if not line:
        sys.exit(open(os.path.join(data, "log")).read())
    return process, json.loads(line)["ready"]


def start_fuuffy(config, data, core=None):
    """Writes a configuration and starts a server on it."""
    path = os.path.join(data, "fuuffy.toml")
    with open(path, "w") as file:
        file.write(config)
    return *start_ready([FUUFFY, "serve", "--config", path], data, core), path


def new_client(config, environment="testing", **options):
    """A client's id, and its secret, if it has one."""
    command = [FUUFFY, "clients", "create", "--environment", environment, "--config", config, "--name", "Bench", "--json"]
    for name, value in options.items():
        command += ["--" + name.replace("_", "-"), value]
    made = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL).stdout)
    return made["client_id"], made.get("client_secret")


def certify(where):
    """A certificate for a server on this machine, in a folder that is answered, and what trusts it."""
    tls = os.path.join(where, "tls")
    command = [FUUFFY, "certs", "issue-local", "--dir", tls, "--host", "localhost", "127.0.0.1", "--json"]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return tls, ssl.create_default_context(cafile=os.path.join(tls, "ca.pem"))


def token(address, client, trust=None):
    """A token; over TLS, where it is said whom to trust."""
    if trust:
        connection = http.client.HTTPSConnection(address, timeout=10, context=trust)
    else:
        connection = http.client.HTTPConnection(address, timeout=10)
    form = urllib.parse.urlencode({"grant_type": "client_credentials", "client_id": client[0], "client_secret": client[1]})
    connection.request("POST", "/v1/auth/token", form, {"Content-Type": "application/x-www-form-urlencoded"})
    return json.load(connection.getresponse())["data"]["access_token"]


WRK_REPORT = """
done = function(summary, latency, requests)
  local errors = summary.errors.status + summary.errors.connect + summary.errors.read + summary.errors.write + summary.errors.timeout
  io.write(string.format("\\n@ %d %d %d %d\\n", summary.requests, summary.duration, errors, latency:percentile(99)))
end
"""


def wrk(url, where, core=None, connections=64, seconds=5, script="", headers=()):
    """One run of wrk: requests, seconds, errors, p99 in microseconds."""
    path = os.path.join(where, "wrk.lua")
    with open(path, "w") as file:
        file.write(script + WRK_REPORT)
    os.chmod(path, 0o600)
    command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "-s", path, url]
    for header in headers:
        command[1:1] = ["-H", header]
    if core is not None:
        command = ["taskset", "-c", str(core), *command]
    output = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
    numbers = [line for line in output.splitlines() if line.startswith("@ ")][0].split()[1:]
    requests, micros, errors, p99 = map(int, numbers)
    return {"requests": requests, "seconds": micros / 1e6, "errors": errors, "p99_us": p99}


def machine():
    model = "unknown"
    with open("/proc/cpuinfo") as info:
        for line in info:
            if line.startswith("model name"):
                model = line.split(":", 1)[1].strip()
                break
    with open("/proc/meminfo") as info:
        memory = round(int(info.readline().split()[1]) / 1024 / 1024, 1)
    rustc = subprocess.run(["rustc", "--version"], stdout=subprocess.PIPE, text=True).stdout.strip()
    return {"cpu": model, "cores": os.cpu_count(), "memory_gib": memory, "kernel": platform.release(), "rustc": rustc}


def median(values):
    return statistics.median(values)


def save(name, result, lines, command=None):
    """Prints the result, and keeps it with the machine's description."""
    command = command or "benches/" + name
    result = {"benchmark": name, "date": time.strftime("%Y-%m-%d"), "command": command, "machine": machine(), **result}
    path = os.path.join(ROOT, "benches", "results", name + ".json")
    with open(path, "w") as file:
        json.dump(result, file, indent=2)
        file.write("\n")
    for line in lines:
        print(line)
    say(f"Kept in benches/results/{name}.json")
