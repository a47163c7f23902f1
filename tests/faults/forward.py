"""Carries connections from one address to another: `python -m tests.faults.forward HOST PORT TARGET`.

TARGET is HOST:PORT or the path of a socket.
"""

from __future__ import annotations

import asyncio
import sys
from contextlib import suppress


async def main(host: str, port: int, target: str) -> None:
    async def carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            if target.startswith("/"):
                there, back = await asyncio.open_unix_connection(target)
            else:
                name, _, number = target.rpartition(":")
                there, back = await asyncio.open_connection(name, int(number))
            await asyncio.gather(_copy(reader, back), _copy(there, writer))
        writer.close()

    async with await asyncio.start_server(carry, host, port) as server:
        print("ready", flush=True)
        await server.serve_forever()


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    with suppress(OSError, RuntimeError):
        writer.close()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], int(sys.argv[2]), sys.argv[3]))
