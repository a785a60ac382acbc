#!/bin/sh
# faiss.sh: prints the prefix of a FAISS that has its C API, building one first where the system has none.
#
#   sh scripts/faiss.sh              find it or build it
#   sh scripts/faiss.sh --find       find it, never build; prints nothing when there is none (the build asks this)
#   sh scripts/faiss.sh --rebuild    build it again
#   sh scripts/faiss.sh --print-level    avx2 or generic: what this CPU has (the build asks this too)
#   --level avx2|generic             instruction set; default: what this CPU has
#
# Debian 12's libfaiss-dev holds the C headers but no symbol of the C API, and is compiled without AVX2, which costs a
# factor of four to ten in search time. So FAISS is built from the distribution's own source package: once, static, into
# a cache folder outside the build:
#
#   ${XDG_CACHE_HOME:-~/.cache}/clipsearch/faiss-VERSION-LEVEL/{include,lib,LICENSE}
#
# - libfaiss.a is FAISS's `faiss_avx2` target (or `faiss` at the generic level) and libfaiss_c.a the C API's objects, both
#   to be linked. FAISS 1.7.3's build files tie the C API to the generic library, whatever the level: one line is changed.
# - The source comes through a temporary copy of the system's source lists with the type turned into deb-src: the same
#   mirrors, keys and checks, in folders of their own. Nothing of the system's configuration changes.
# - OpenBLAS is named to CMake: the reference BLAS would be taken otherwise.
# - The folder appears by one rename when it is complete; two runs at once wait for each other.
here=$(cd "$(dirname "$0")" && pwd) || exit 2
. "$here/common.sh"

mode=build level=
while [ $# -gt 0 ]; do
    case $1 in
    --find) mode="find" ;;
    --print-level) isa_level; exit 0 ;;
    --rebuild) mode=rebuild ;;
    --level) shift; level=${1-} ;;
    -h | --help) sed -n '2,9s/^# \{0,1\}//p' "$0"; exit 0 ;;
    *) fail "unknown option $1; see --help" ;;
    esac
    shift
done
[ -n "$level" ] || level=$(isa_level)
case $level in avx2 | generic) ;; *) fail "--level is avx2 or generic, not '$level'" ;; esac

# The newest complete build of this level in the cache.
cached() {
    ls -d "$cache"/faiss-*-"$level" 2>/dev/null | sort -V | tail -n 1
}

# Whether the system's own packages hold the C API (Debian 13 and later).
system_has_it() {
    f=$(${CC:-cc} -print-file-name=libfaiss_c.so 2>/dev/null)
    a=$(${CC:-cc} -print-file-name=libfaiss_c.a 2>/dev/null)
    case $f$a in */*) [ -e /usr/include/faiss/c_api/Index_c.h ] ;; *) false ;; esac
}

if [ $mode != rebuild ]; then
    prefix=$(cached)
    if [ -z "$prefix" ] && system_has_it; then prefix=/usr; fi
    if [ -n "$prefix" ]; then printf '%s\n' "$prefix"; exit 0; fi
    [ $mode = build ] || exit 0
fi

mkdir -p "$cache" || fail "cannot make the folder $cache"
exec 9>"$cache/faiss.lock"
if command -v flock >/dev/null && ! flock -n 9; then
    say "Another build of FAISS is running; waiting for it"
    flock 9
    prefix=$(cached)
    if [ -n "$prefix" ] && [ $mode = build ]; then printf '%s\n' "$prefix"; exit 0; fi
fi

log=$cache/faiss-build.log
: >"$log" || fail "cannot write $log"

# From Debian 13 on, libfaiss-dev holds the C API.
version=$(apt-cache policy libfaiss-dev 2>/dev/null | sed -n 's/^ *Candidate: *//p')
if [ $mode = build ] && dpkg --compare-versions "${version:-0}" ge 1.11; then
    need_packages libfaiss-dev
    if system_has_it; then echo /usr; exit 0; fi
fi
work=$(mktemp -d "${TMPDIR:-/tmp}/clipsearch-faiss.XXXXXX") || fail "cannot make a temporary folder"
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT TERM HUP
chmod 755 "$work" # apt drops its rights while it downloads

need_packages g++ libc6-dev ninja-build libopenblas-dev $packages_faiss

stop() { tail -n 15 "$log" >&2; fail "$1; everything that was said is in $log"; }

# ---- the source, from the system's own mirrors ---------------------------------------------------------------------

mkdir -p "$work/lists.d" "$work/state/partial" "$work/cache/archives/partial"
for f in /etc/apt/sources.list /etc/apt/sources.list.d/*.list; do
    [ -f "$f" ] && sed -n 's/^[[:space:]]*deb\(-src\)\{0,1\}[[:space:]]/deb-src /p' "$f" | sort -u >"$work/lists.d/$(basename "$f" .list)-1.list"
done
for f in /etc/apt/sources.list.d/*.sources; do
    [ -f "$f" ] && sed 's/^[Tt]ypes:.*/Types: deb-src/' "$f" >"$work/lists.d/$(basename "$f")"
done

apt() {
    command=$1
    shift
    "$command" -q -o Dir::Etc::sourcelist=/dev/null -o Dir::Etc::sourceparts="$work/lists.d" \
        -o Dir::State::lists="$work/state" -o Dir::Cache="$work/cache" "$@" >>"$log" 2>&1 </dev/null
}

say "Building FAISS with its C API ($level); this takes two to four minutes, once"
say "  fetching the source package"
cd "$work" || exit 2
# Some other repository may have no sources and make `update` fail: what counts is whether the package comes.
apt apt-get update
apt apt-get source faiss || stop "the source package of FAISS could not be fetched"
source=$(find "$work" -maxdepth 1 -type d -name 'faiss-*')
[ -f "$source/c_api/CMakeLists.txt" ] || stop "the source package of FAISS does not look as expected"
version=${source##*/faiss-}

# ---- the build -----------------------------------------------------------------------------------------------------

target=faiss
[ $level = generic ] || target=faiss_$level
sed -i "s/^target_link_libraries(faiss_c PRIVATE faiss)/target_link_libraries(faiss_c PRIVATE $target)/" \
    "$source/c_api/CMakeLists.txt"

say "  compiling FAISS $version"
cmake -S "$source" -B "$work/build" -G Ninja -DCMAKE_BUILD_TYPE=Release -DCMAKE_POSITION_INDEPENDENT_CODE=ON \
    -DCMAKE_C_FLAGS='-ffunction-sections -fdata-sections' -DCMAKE_CXX_FLAGS='-ffunction-sections -fdata-sections' \
    -DBUILD_SHARED_LIBS=OFF -DBUILD_TESTING=OFF -DFAISS_ENABLE_GPU=OFF -DFAISS_ENABLE_PYTHON=OFF \
    -DFAISS_ENABLE_C_API=ON -DFAISS_OPT_LEVEL="$level" -DBLA_VENDOR=OpenBLAS >>"$log" 2>&1 </dev/null ||
    stop "FAISS could not be configured"
ninja -C "$work/build" faiss_c $target >>"$log" 2>&1 </dev/null || stop "FAISS could not be compiled"

# ---- the prefix ----------------------------------------------------------------------------------------------------

prefix=$cache/faiss-$version-$level
new=$prefix.new
rm -rf "$new"
mkdir -p "$new/include/faiss" "$new/lib" &&
    cp -R "$source/c_api" "$new/include/faiss/c_api" &&
    rm -rf "$new/include/faiss/c_api/gpu" &&
    find "$new/include" -type f ! -name '*.h' -exec rm -f {} + &&
    cp "$work/build/faiss/lib$target.a" "$new/lib/libfaiss.a" &&
    cp "$work/build/c_api/libfaiss_c.a" "$new/lib/libfaiss_c.a" &&
    cp "$source/LICENSE" "$new/LICENSE" || stop "FAISS could not be copied to $new"
rm -rf "$prefix"
mv "$new" "$prefix" || stop "FAISS could not be moved to $prefix"
say "  FAISS $version is in $prefix"
printf '%s\n' "$prefix"
