# SPDX-License-Identifier: BSL-1.0
"""The peers' runtimes and packages. Each function returns the command that starts the peer and the environment
that it needs. A runtime that is missing skips the test, except on Debian, where `./run test` installs it."""
import contextlib
import fcntl
import hashlib
import pathlib
import re
import shutil
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
SKIPPED = 77
BUILD_PATIENCE_S = 500
FIRST_CARGO_WITH_SPARSE_INDEX = (1, 68)


def node_with_ws(build_dir):
    _need("npm's ws", "node")
    _need("npm's ws", "npm")
    folder = _peers_folder(build_dir) / "ws"
    files = ("package.json", "package-lock.json")

    def install():
        for name in files:
            shutil.copy(HERE / name, folder)
        _run(["npm", "ci", "--no-audit", "--no-fund", "--ignore-scripts"], folder)

    version = _run(["node", "--version"])
    _prepare(folder, [version, *((HERE / name).read_text(encoding="utf-8") for name in files)], install)
    return ["node"], {"NODE_PATH": str(folder / "node_modules")}


def python_with_websockets(build_dir):
    folder = _peers_folder(build_dir) / "websockets"
    python = folder / "venv" / "bin" / "python"

    def install():
        _run([sys.executable, "-m", "venv", folder / "venv"])
        _run([python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r", HERE / "requirements.txt"])

    _prepare(folder, [sys.version, (HERE / "requirements.txt").read_text(encoding="utf-8")], install)
    return [str(python), "-u"], {}


def go_with_gorilla(build_dir):
    _need("Go's gorilla/websocket", "go")
    folder = _peers_folder(build_dir) / "gorilla"
    with _alone_in(folder):
        _run(["go", "build", "-buildvcs=false", "-o", folder / "peer", "."], HERE / "go")
    return [str(folder / "peer")], {}


def rust_with_tungstenite(build_dir):
    return [_rust_program(build_dir, "hawser-conformance-peer")], {}


def rust_with_ratchet(build_dir):
    return [_rust_program(build_dir, "ratchet")]


def chromium():
    return _need("Chromium", "chromium", "chromium-browser", "google-chrome")


def nginx():
    return _need("nginx", "nginx", "/usr/sbin/nginx")


def _rust_program(build_dir, name):
    _need(f"Rust's {name}", "cargo")
    folder = _peers_folder(build_dir) / "rust"
    with _alone_in(folder):
        _run([*_cargo(), "build", "--locked", "--quiet", "--bin", name, "--target-dir", folder], HERE / "rust")
    return str(folder / "debug" / name)


def _cargo():
    """Debian's cargo 0.66 would copy the whole index of crates.io with git first; what spares that is in it as well,
    but called unstable."""
    version = re.search(r"cargo (\d+)\.(\d+)", _run(["cargo", "--version"]))
    if version and tuple(map(int, version.groups())) < FIRST_CARGO_WITH_SPARSE_INDEX:
        return ["env", "RUSTC_BOOTSTRAP=1", "cargo", "-Z", "sparse-registry"]
    return ["cargo"]


def _is_debian():
    with contextlib.suppress(OSError):
        return "ID=debian" in pathlib.Path("/etc/os-release").read_text(encoding="utf-8").splitlines()
    return False


def _need(peer, *names):
    """The first of these commands that is on PATH."""
    for name in names:
        if shutil.which(name):
            return name
    if _is_debian():
        sys.exit(f"FAILED: {peer} cannot take part: {names[0]} is missing; ./run test installs it")
    print(f"SKIPPED: {peer} cannot take part: {names[0]} is not installed", flush=True)
    sys.exit(SKIPPED)


def _run(command, cwd=None):
    shown = " ".join(map(str, command))
    try:
        done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=BUILD_PATIENCE_S, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        sys.exit(f"FAILED: {shown}: {error}")
    if done.returncode != 0:
        sys.exit(f"FAILED: {shown} ended with {done.returncode}:\n{done.stdout}{done.stderr}")
    return done.stdout


def _peers_folder(build_dir):
    """Presets share the packages: build/peers beside build/dev."""
    return (build_dir.parent if build_dir.parent.name == "build" else build_dir) / "peers"


@contextlib.contextmanager
def _alone_in(folder):
    """One process at a time works in this folder."""
    folder.mkdir(parents=True, exist_ok=True)
    with open(folder.parent / f"{folder.name}.lock", "w", encoding="ascii") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _prepare(folder, inputs, install):
    """Calls `install` unless `folder` was made from the same inputs before."""
    digest = hashlib.sha256("\0".join(inputs).encode()).hexdigest()
    with _alone_in(folder):
        stamp = folder / "stamp"
        if stamp.exists() and stamp.read_text(encoding="ascii") == digest:
            return
        shutil.rmtree(folder)
        folder.mkdir()
        install()
        stamp.write_text(digest, encoding="ascii")
