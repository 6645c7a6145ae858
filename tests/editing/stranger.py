"""Another client on the same key: reads, changes what is its own, and writes on the revision it read.

Prints the revision and the value of each of its writes that was taken, one a line.
"""

import asyncio
import json
import sys

import nats
from nats.js.errors import KeyWrongLastSequenceError


async def main(url: str, bucket: str, key: str, writes: int) -> None:
    connection = await nats.connect(url)
    store = await connection.jetstream().key_value(bucket)
    for number in range(1, writes + 1):
        while True:
            entry = await store.get(key)
            value = json.loads(entry.value)
            value["stranger"]["n"] = number
            text = json.dumps(value)
            try:
                revision = await store.update(key, text.encode(), last=entry.revision)
            except KeyWrongLastSequenceError:
                continue
            print(json.dumps({"revision": revision, "value": text}), flush=True)
            break
    await connection.close()


asyncio.run(main(sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4])))
