#!/usr/bin/env bash
# Sets up what `make demo` and `make test` need: Debian packages, .venv, this package and the open engines.
# Usage: tools/bootstrap.sh demo|test. Does nothing, in about a second, when everything is there.
set -euo pipefail
cd "$(dirname "$0")/.."

purpose=${1:-demo}
case $purpose in
    demo) extras=chgnet,gpaw; more=() ;;
    test) extras=chgnet,gpaw,tests,docs; more=(chromium chromium-driver) ;;
    *) echo "usage: $0 demo|test" >&2; exit 2 ;;
esac
# A cluster and two servers for tests that are skipped without them: only where root's packages start no services.
if [ "$purpose" = test ] && [ "$(id -u)" -eq 0 ] && [ ! -d /run/systemd/system ]; then
    more+=(slurm-wlm munge openssh-server postgresql rabbitmq-server rsync)
fi
packages=(g++ libfftw3-dev libopenblas-dev libxc-dev "${more[@]}")
log=.venv/install.log
start=$SECONDS

say() { printf '[%3d s] %s\n' $((SECONDS - start)) "$*"; }
fail() { echo "bootstrap: $*" >&2; exit 1; }

# Quietly run a step, its output in the log; on failure show the end of it.
step() {
    local title=$1; shift
    say "$title"
    "$@" >>"$log" 2>&1 || { tail -n 25 "$log" >&2; fail "$title: failed; the whole output is in $log"; }
}

# The interpreter that PYTHON names, and no other, if it is set.
find_python() {
    local candidate names=(python3 python3.13 python3.12 python3.11)
    [ -n "${PYTHON:-}" ] && names=("$PYTHON")
    for candidate in "${names[@]}"; do
        "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || continue
        echo "$candidate"; return
    done
    fail "${names[0]} is no Python 3.11 or newer; install one (Debian 12: apt-get install python3), or name it:" \
        "make $purpose PYTHON=/path/to/python3"
}

# pip writes a package's RECORD last: one without it was cut short, and pip would take it for whole.
venv_is_whole() {
    local info
    .venv/bin/python -m pip --version >/dev/null 2>&1 || return 1
    for info in .venv/lib/python3.*/site-packages/*.dist-info; do
        [ -f "$info/RECORD" ] || return 1
    done
}

install_debian_packages() {
    local wanted=("$@") missing=() package
    command -v dpkg-query >/dev/null || { say "not a Debian system: make sure you have ${wanted[*]}"; return; }
    for package in "${wanted[@]}"; do
        dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q '^install ok installed' || missing+=("$package")
    done
    [ ${#missing[@]} -eq 0 ] && return
    if [ "$(id -u)" -ne 0 ]; then
        fail "these Debian packages are missing; run:  sudo apt-get install --no-install-recommends ${missing[*]}"
    fi
    say "installing Debian packages: ${missing[*]}"
    local output policy=; output=$(mktemp)
    # Without systemd the packages of servers would start them here and now; the tests start their own.
    if [ ! -d /run/systemd/system ] && [ ! -e /usr/sbin/policy-rc.d ]; then
        policy=/usr/sbin/policy-rc.d
        trap "rm -f $policy" EXIT
        printf '#!/bin/sh\nexit 101\n' >"$policy"
        chmod +x "$policy"
    fi
    { apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}"; } \
        >"$output" 2>&1 || { tail -n 25 "$output" >&2; fail "apt-get could not install ${missing[*]}"; }
    rm -f "$output" $policy
    trap - EXIT
}

# GPAW's build goes on without BLAS or libxc and only warns, and its default compiler is not one for its C++ sources:
# name all three. Without libxc there is no HSE06, so ask for it afterwards. With FFTW, which has to be named too, bands
# take a third less time than with the transforms of numpy.
gpaw_works() {
    .venv/bin/python - <<'PY'
import _gpaw
from gpaw.fftw import have_fftw
from gpaw.xc.libxc import LibXC

LibXC("HYB_GGA_XC_HSE06")
assert hasattr(_gpaw, "rk"), "GPAW was built without BLAS"
assert have_fftw(), "GPAW was built without FFTW"
PY
}

write_gpaw_configuration() {
    cat >.venv/gpaw_siteconfig.py <<'PY'
compiler = 'g++'
libraries = ['xc', 'openblas', 'fftw3']
fftw = True
noblas = False
nolibxc = False
PY
    export GPAW_CONFIG="$PWD/.venv/gpaw_siteconfig.py"
}

python=$(find_python)
if ! "$python" -c 'import ensurepip, venv' 2>/dev/null; then
    packages+=(python3-venv)
fi
if ! "$python" -c 'import os, sysconfig, sys; sys.exit(not os.path.exists(os.path.join(sysconfig.get_paths()["include"], "Python.h")))'; then
    packages+=(python3-dev)
fi

# What has been installed for which state of the sources; a set-up for tests serves the demo as well.
state=$(cat setup.cfg constraints.txt tools/bootstrap.sh | sha256sum | cut -c1-16)
state="$state $("$python" -c 'import sys; print(*sys.version_info[:3], sep=".")') $PWD"
for stamp in ".venv/installed-$purpose" .venv/installed-test; do
    if [ -f "$stamp" ] && [ "$(cat "$stamp")" = "$state" ]; then exit 0; fi
done

install_debian_packages "${packages[@]}"
# An environment that was moved or half made is made anew; one that is whole is only completed.
if ! venv_is_whole; then
    [ -e .venv ] && say "removing a .venv that was moved or half made"
    rm -rf .venv
    say "making .venv with $("$python" --version)"
    "$python" -m venv .venv || fail "$python cannot make an environment; on Debian: sudo apt-get install python3-venv"
fi
: >"$log"
export PIP_DISABLE_PIP_VERSION_CHECK=1
# torch first and alone: the constraint picks the build without CUDA, and everything later finds it there.
step "installing torch (a few hundred MB)" .venv/bin/pip install -c constraints.txt torch
write_gpaw_configuration
step "installing the package, CHGNet and GPAW (two to four minutes)" \
    .venv/bin/pip install -c constraints.txt -e ".[$extras]"
if ! gpaw_works >>"$log" 2>&1; then
    step "building GPAW again, with libxc, BLAS and FFTW" \
        .venv/bin/pip install --force-reinstall --no-deps --no-cache-dir gpaw
    step "checking that GPAW has HSE06" gpaw_works
fi
echo "$state" >".venv/installed-$purpose"
say "everything is installed"
