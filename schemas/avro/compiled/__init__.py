"""The codec of each event class, written out as Python from its Avro schema when the class is first used.

fastavro turns bytes into dicts and back, and pydantic those into events: together 12 to 29 microseconds an event, and a
request is written six times and read twelve times on its way. Straight from bytes to events takes a third of that. The
bytes are Avro's; a test holds both ways against fastavro, which also reads what older versions have written.
"""

from schemas.avro.compiled.reader import compile_reader
from schemas.avro.compiled.writer import compile_writer

__all__ = ["compile_reader", "compile_writer"]
