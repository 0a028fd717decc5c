-- One part a second and table is merged again and again on its way to a large one. With a base of 10 in place of 5 a row is
-- copied less often, and there are a few parts more: benchmarks/README.md has what that saves.
ALTER TABLE events_log MODIFY SETTING merge_selector_base = 10;
ALTER TABLE requests_log MODIFY SETTING merge_selector_base = 10;
