from __future__ import annotations

import asyncio

from streams.room import Room


async def test_there_is_room_for_so_many() -> None:
    room = Room(2)

    assert [room.take() for _ in range(3)] == [True, True, False]
    assert room.free == 0


async def test_who_waits_gets_the_place_of_the_first_who_leaves() -> None:
    room, inside = Room(1), list[int]()

    async def visit() -> None:
        async with room:
            inside.append(room.free)
            await asyncio.sleep(0)

    await asyncio.gather(*(visit() for _ in range(3)))

    assert inside == [0, 0, 0]
    assert room.free == 1
