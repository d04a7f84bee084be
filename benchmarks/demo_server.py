"""Many clients and slow connections at a demo_server.py that runs.

    python demo_server.py --ner_model=Disease=demo_output/ner --re_model=demo_output/re --qa_model=demo_output/qa &
    python -m benchmarks.demo_server --pid=$! [--address=127.0.0.1:8080]

after `make demo`, and once the server is ready. Prints

  * of 100 clients that send 5 requests each, one after the other, four texts and a question: how many got which status,
    and how long they took;
  * how long a text takes while 150 connections of the same address send a byte now and then;
  * the memory of the server after 2,000 requests of 100 clients, and after 2,000 more.

Expected (2 cores, the models of `make demo`): status 200 of all 500, within 1 s each; a text within 1 s beside the slow
connections; after the second 2,000 requests less than 10 MB more than after the first, in which each thread gets its
memory.
"""

import collections
import contextlib
import http.client
import json
import re
import socket
import statistics
import threading
import time

from absl import flags

from common import errors
from inference.web import view

FLAGS = flags.FLAGS

CLIENTS = 100
SLOW = 150


def main(_):
    host, _, port = FLAGS.address.rpartition(":")
    address = host, int(port)
    report("500 requests", ask_many(address, 5))
    print(f"a text, {SLOW} slow connections: {time_beside_slow(address):.2f} s")
    for _ in range(2):
        report("2,000 requests", ask_many(address, 20))
        print(f"memory: {read_memory(FLAGS.pid):.0f} MB")


def ask_many(address, count):
    """Status and seconds of the requests of `CLIENTS` clients."""
    found = []

    def ask_in_turn():
        for number in range(count):
            question = {"question": view.QUESTION} if number % 5 == 4 else {}
            found.append(ask(address, {"text": view.EXAMPLE} | question))

    threads = [threading.Thread(target=ask_in_turn) for _ in range(CLIENTS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return found


def ask(address, values):
    """Status and seconds of a request; of one without an answer the name of the error."""
    path, start = "/api/answer" if "question" in values else "/api/annotate", time.perf_counter()
    with contextlib.closing(http.client.HTTPConnection(*address, timeout=120)) as connection:
        try:
            connection.request("POST", path, json.dumps(values), {"Content-Type": "application/json"})
            response = connection.getresponse()
            response.read()
            status = response.status
        except OSError as error:
            status = type(error).__name__
    return status, time.perf_counter() - start


def time_beside_slow(address):
    """Seconds for a text, some after the slow connections were opened."""
    with contextlib.ExitStack() as stack:
        connections = [stack.enter_context(socket.create_connection(address)) for _ in range(SLOW)]
        for byte in b"GET / HTTP/1.1\r\nX: aaaaa":
            for connection in connections:
                with contextlib.suppress(OSError):  # it was cut off
                    connection.sendall(bytes([byte]))
            time.sleep(0.1)
        status, seconds = ask(address, {"text": view.EXAMPLE})
    if status != 200:
        raise errors.InputError(f"{FLAGS.address}: {status} for an answer; expected 200")
    return seconds


def report(title, found):
    counts = collections.Counter(status for status, _ in found)
    seconds = [seconds for _, seconds in found]
    print(f"{title}: status {dict(counts)}, median {statistics.median(seconds):.2f} s, most {max(seconds):.2f} s")


def read_memory(pid):
    """Resident memory of a process in MB."""
    with open(f"/proc/{pid}/status", encoding="utf-8") as file:
        return int(re.search(r"VmRSS:\s*(\d+)", file.read())[1]) / 1024


if __name__ == "__main__":
    flags.DEFINE_string("address", "127.0.0.1:8080", "Host and port of the server.")
    flags.DEFINE_integer("pid", None, "Its process.", required=True)
    errors.run(main)
