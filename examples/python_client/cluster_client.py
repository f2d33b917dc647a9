#!/usr/bin/env python3
"""Calls and casts to actors of a libcluster node.

    cluster_client.py [-H HOST] [-p PORT] [-a COOKIE | --cookie-file FILE] [-I ID] [--timeout S]
                      call|cast SERVER EVENT [JSON]

Prints the reply as one line of JSON. Exit codes: 0 ok, 1 the call failed, 2 usage, 3 cannot connect or refused,
4 outcome unknown.
"""

import argparse
import json
import os
import sys

from json_form import from_json, to_json
from session import ClusterError, Session


def parse_arguments(argv):
    parser = argparse.ArgumentParser(description="Calls and casts to actors of a libcluster node.")
    parser.add_argument("-H", "--host", default="localhost")
    parser.add_argument("-p", "--port", type=int, default=7022)
    parser.add_argument("-a", "--cookie", help="seen by others in the list of processes; rather use a file")
    parser.add_argument("--cookie-file", help="default: the environment's CLUSTER_COOKIE")
    parser.add_argument("-I", "--instance", help="refuse the node if it has another id")
    parser.add_argument("--timeout", type=float, default=5.0, help="seconds, for connecting and for the call each")
    parser.add_argument("command", choices=("call", "cast"))
    parser.add_argument("server")
    parser.add_argument("event")
    parser.add_argument("json", nargs="?", default="null", help="the message; - reads it from standard input")
    arguments = parser.parse_args(argv)
    for name in (arguments.server, arguments.event):
        if not 1 <= len(name.encode()) <= 255:
            parser.error("names have 1 to 255 bytes")
    try:
        text = sys.stdin.read() if arguments.json == "-" else arguments.json
        arguments.payload = from_json(json.loads(text))
    except ValueError as fault:
        parser.error(f"the message is not JSON: {fault}")
    if arguments.cookie_file:
        try:
            with open(arguments.cookie_file, encoding="utf-8") as file:
                arguments.cookie = file.read().strip()
        except OSError as fault:
            parser.error(f"{arguments.cookie_file}: {fault.strerror}")
    arguments.cookie = arguments.cookie or os.environ.get("CLUSTER_COOKIE")
    if not arguments.cookie:
        parser.error("no cookie: use -a, --cookie-file or CLUSTER_COOKIE")
    return arguments


def run(argv) -> int:
    arguments = parse_arguments(argv)
    try:
        session = Session(arguments.host, arguments.port, arguments.cookie, arguments.instance, arguments.timeout)
    except ClusterError as error:
        print(f"cannot connect: {error.code}: {error}", file=sys.stderr)
        return 3
    with session:
        try:
            if arguments.command == "cast":
                session.cast(arguments.server, arguments.event, arguments.payload, arguments.timeout)
                reply = True
            else:
                reply = session.call(arguments.server, arguments.event, arguments.payload, arguments.timeout)
        except ClusterError as error:
            print(f"{error.code}: {error} (executed: {error.executed})", file=sys.stderr)
            return 4 if error.executed == "unknown" else 1
    print(json.dumps(to_json(reply)))
    return 0


if __name__ == "__main__":
    sys.exit(run(sys.argv[1:]))
