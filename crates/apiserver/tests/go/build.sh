#!/bin/sh
# Builds the client-go program beside this file: build.sh FOLDER
#
# Go and client-go come as packages of Debian 13 from the mirror this machine
# uses, unpacked into FOLDER; nothing is installed and no other source is asked.
set -eu

suite=trixie
go=1.24
folder=$(mkdir -p "$1" && cd "$1" && pwd)
here=$(cd "$(dirname "$0")" && pwd)

own_apt() {
    tool=$1
    shift
    "$tool" -o Dir::Etc::SourceList="$folder/sources.list" -o Dir::Etc::SourceParts=/dev/null \
        -o Dir::State::Lists="$folder/lists" -o Dir::Cache="$folder/cache" \
        -o Dir::State::status="$folder/status" -o APT::Sandbox::User=root "$@"
}

fetch() {
    mkdir -p "$folder/lists/partial" "$folder/cache/archives/partial" "$folder/debs"
    touch "$folder/status"
    mirror=$(apt-get indextargets --format '$(SITE)' | grep '/debian$' | head -n 1)
    echo "deb $mirror $suite main" > "$folder/sources.list"
    own_apt apt-get -qq update
    # Of alternatives apt names both; the older protobuf would lie over the newer.
    packages=$(own_apt apt-cache depends --recurse --no-recommends --no-suggests --no-conflicts --no-breaks \
        --no-replaces --no-enhances golang-k8s-client-go-dev "golang-$go-go" "golang-$go-src" |
        grep -E "^golang-(github|gopkg|go|google|k8s|goprotobuf|protobuf|opentelemetry|uber|$go|.*-dev)" |
        grep -vE '^golang-(go|src|any)$|protobuf-1-3' | sort -u)
    # shellcheck disable=SC2086
    (cd "$folder/debs" && own_apt apt-get -qq download $packages)
    for package in "$folder"/debs/*.deb; do
        dpkg -x "$package" "$folder/root"
    done
    rm -rf "$folder/debs" "$folder/cache" "$folder/lists"
    touch "$folder/.fetched"
}

[ -e "$folder/.fetched" ] || fetch
export GOROOT="$folder/root/usr/lib/go-$go" GOPATH="$folder/root/usr/share/gocode"
export GOCACHE="$folder/build" GO111MODULE=off CGO_ENABLED=0
cd "$here" && "$GOROOT/bin/go" build -ldflags "-s -w" -o "$folder/client" .
