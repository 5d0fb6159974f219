"""Drives the tool server as a real client does: arguments are the command to start it."""

import asyncio
import json
import subprocess
import sys
import tempfile

from mcp import ClientSession, StdioServerParameters
from mcp.client.stdio import stdio_client

TOOLS = ["link", "retrieve", "search", "store", "transform"]


def text(result):
    return result.content[0].text


def failed(result):
    return bool(getattr(result, "is_error", getattr(result, "isError", None)))


async def ask(session, tool, **arguments):
    result = await session.call_tool(tool, arguments)
    assert not failed(result), text(result)
    return json.loads(text(result))


async def refused(session, tool, said, **arguments):
    result = await session.call_tool(tool, arguments)
    assert failed(result), f"{tool} {str(arguments)[:200]} was not refused"
    assert said in text(result), f"{text(result)!r} does not say {said!r}"


async def listing(session):
    tools = (await session.list_tools()).tools
    assert sorted(tool.name for tool in tools) == TOOLS, tools
    for tool in tools:
        schema = getattr(tool, "input_schema", None) or tool.inputSchema
        assert tool.description and schema["type"] == "object" and schema["required"], tool


async def each_tool(session):
    stored = await ask(session, "store", path="pond.rs", content='pub fn fill() { println!("ä\\n"); }\n')
    assert stored["version"] == 1 and stored["symbols"] == 1, stored
    await ask(session, "store", path="main.rs", content="mod pond;\nfn main() {}\n")
    changed = await ask(session, "transform", path="pond.rs", edits=[{"find": "fill", "replace": "drain"}])
    assert changed["version"] == 2, changed
    got = await ask(session, "retrieve", path="pond.rs")
    assert got["content"] == 'pub fn drain() { println!("ä\\n"); }\n', got
    change = await ask(session, "retrieve", path="pond.rs", change=2)
    assert "-pub fn fill()" in change["change"], change
    hits = (await ask(session, "search", query="drain", limit=3))["hits"]
    assert hits[0]["path"] == "pond.rs" and hits[0]["symbol"] == "drain", hits
    assert (await ask(session, "link", **{"from": "main.rs", "to": "pond.rs", "kind": "tests"}))["new"]


async def bad_arguments(session):
    await refused(session, "store", "content is missing", path="x")
    await refused(session, "store", "path is a number", path=1, content="")
    await refused(session, "store", "no argument", path="x", content="", mode="fast")
    await refused(session, "store", "path of 0 bytes", path="", content="")
    await refused(session, "retrieve", "no such file", path="nowhere")
    await refused(session, "search", "from 1 to 1000", query="x", limit=0)
    await refused(session, "transform", "does not occur", path="pond.rs", edits=[{"find": "zzz", "replace": ""}])


async def unknown_tool(session):
    try:
        result = await session.call_tool("destroy", {})
    except Exception as error:
        assert "destroy" in str(error), error
    else:
        assert failed(result) and "destroy" in text(result), result


async def oversized(session):
    await refused(session, "store", "at most", path="big", content="x\n" * (5 << 20))
    await refused(session, "store", "at most", path="bigger", content="x" * (20 << 20))
    await refused(session, "retrieve", "no such file", path="big")


async def in_flight(session, count):
    async def one(number):
        path = f"file{number}.rs"
        await ask(session, "store", path=path, content=f"pub fn unique{number}() {{}}\n")
        hits = (await ask(session, "search", query=f"unique{number}"))["hits"]
        assert hits[0]["path"] == path, hits
        got = await ask(session, "retrieve", path=path)
        assert f"unique{number}" in got["content"], got

    await asyncio.gather(*(one(number) for number in range(count)))


async def main(command):
    server = StdioServerParameters(command=command[0], args=command[1:])
    with tempfile.TemporaryFile("w+") as complaints:
        async with stdio_client(server, errlog=complaints) as (read, write):
            async with ClientSession(read, write) as session:
                await session.initialize()
                await listing(session)
                await each_tool(session)
                await bad_arguments(session)
                await unknown_tool(session)
                await oversized(session)
                await in_flight(session, 32)
        complaints.seek(0)
        said = complaints.read()
        assert "panicked" not in said and "error" not in said, said


def end_of_input(command):
    """A client that goes away ends the server: at once, and in peace."""
    for said in [b"", b'{"jsonrpc": "2.0", "id"', b"no json at all\n"]:
        done = subprocess.run(command, input=said, capture_output=True, timeout=20)
        assert b"panicked" not in done.stderr, done.stderr


if __name__ == "__main__":
    asyncio.run(asyncio.wait_for(main(sys.argv[1:]), timeout=120))
    end_of_input(sys.argv[1:])
    print("all tools answered")
