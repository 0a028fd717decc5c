"""Runtime: one worker per stage on Kafka, with our own offset commits. The only code that imports Faust."""
