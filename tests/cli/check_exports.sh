#!/bin/sh
# check_exports - the symbols and the libraries of libpfetch.so and pfetch.
#
# SPDX-License-Identifier: MIT
: "${srcdir:=$(dirname "$0")/..}" "${builddir:=.}"
# shellcheck source=tests/support/tap.sh
. "$srcdir/support/tap.sh"
lib=$builddir/../src/.libs/libpfetch.so
prog=$builddir/../src/pfetch/.libs/pfetch

# needed FILE: the libraries it names itself.
needed()
{
    readelf -d "$1" | sed -n 's/.*(NEEDED).*\[\(.*\)\]/\1/p'
}

if [ ! -e "$lib" ] || ! command -v readelf >/dev/null; then
    skip "exports" "no libpfetch.so or no readelf here"
    done_testing
fi

exported=$(nm -D --defined-only "$lib" | awk '{ print $3 }' |
    sed 's/@.*//' | grep -vE '^(PFETCH_[0-9]+|_init|_fini)$')
declared=$(sed -n '/^static/d; /^\/\*/d; s/^[^ *].*[ *]\(pfetch_[a-z_]*\)(.*/\1/p' \
    "$srcdir"/../src/include/*.h | sort -u)

empty "everything exported is called pfetch_*" \
    "$(echo "$exported" | grep -v '^pfetch_')"
empty "everything exported is declared in a public header" \
    "$(for s in $exported; do
           echo "$declared" | grep -qx "$s" || echo "$s"
       done)"
empty "everything declared is exported" \
    "$(for s in $declared; do
           echo "$exported" | grep -qx "$s" || echo "$s"
       done)"

# Sanitizers and coverage bring libraries of their own.
known='libc|libpthread|libm|libgcc_s|libasan|libubsan|libtsan|libstdc\+\+|ld-linux.*'
empty "libpfetch.so needs only libcurl, OpenSSL and what archives need" \
    "$(needed "$lib" | grep -vE "^($known|libcurl|libssl|libcrypto|libarchive|libz|libzstd)\.so")"
empty "pfetch needs only libpfetch, jansson and zlib" \
    "$(needed "$prog" | grep -vE "^($known|libpfetch|libjansson|libz)\.so")"
done_testing
