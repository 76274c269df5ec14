#!/bin/sh
# Writes v0/ anew from discovery.proto. Needs protoc (Debian: protobuf-compiler; or the Python package grpcio-tools, as below);
# the plugins for Go are tools of go.mod. The result is in the repository, so that building needs Go alone.
set -eu
cd "$(dirname "$0")"
tools=$(mktemp -d)
trap 'rm -rf "$tools"' EXIT
go build -o "$tools" google.golang.org/protobuf/cmd/protoc-gen-go google.golang.org/grpc/cmd/protoc-gen-go-grpc
protoc=${PROTOC:-python -m grpc_tools.protoc}
# shellcheck disable=SC2086  # a command of several words
PATH="$tools:$PATH" $protoc -I ../../../akri/discovery \
    --go_out=v0 --go_opt=paths=source_relative --go_opt=Mdiscovery.proto=example.com/folder-handler/v0 \
    --go-grpc_out=v0 --go-grpc_opt=paths=source_relative --go-grpc_opt=Mdiscovery.proto=example.com/folder-handler/v0 \
    discovery.proto
