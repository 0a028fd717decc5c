"""Events, topics, headers, tables and the OpenAI API: the formats that everything else reads and writes."""
