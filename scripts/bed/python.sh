# Sets $python to an interpreter of at least 3.11 that every user of this machine can run: that of the system if it
# will do, else the first one on PATH. On a fresh machine root installs it.
good_python() {
    "$1" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null
}

if ! command -v python3 >/dev/null && [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    apt-get update -q >&2 && DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends python3 python3-venv >&2
fi
python=
for candidate in /usr/bin/python3 python3 python3.14 python3.13 python3.12 python3.11; do
    if good_python "$candidate"; then
        python=$candidate
        break
    fi
done
if [ -z "$python" ] && [ "$(id -u)" = 0 ] && [ -x /usr/bin/python3 ] && command -v apt-get >/dev/null; then
    apt-get update -q >&2 && DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends python3-venv >&2
    if good_python /usr/bin/python3; then python=/usr/bin/python3; fi
fi
if [ -z "$python" ]; then
    echo "needs Python >= 3.11 with venv: apt-get install python3 python3-venv (as root)" >&2
    exit 2
fi
