-- Times are said with their unit.
UPDATE OR REPLACE setting SET key = 'schedule.interval', value = value || 's' WHERE key = 'schedule.look_s';
UPDATE OR REPLACE setting SET key = 'schedule.gather', value = value || 'ms' WHERE key = 'schedule.gather_ms';
UPDATE setting SET value = CASE value WHEN '0' THEN 'false' ELSE 'true' END WHERE key = 'schedule.background';
INSERT OR IGNORE INTO setting(key, value)
  SELECT kind, value || 'd' FROM setting,
    (SELECT 'retention.tombstones' AS kind UNION ALL SELECT 'retention.conflicts' UNION ALL SELECT 'retention.archive'
     UNION ALL SELECT 'retention.runs')
  WHERE key = 'retention.days';
DELETE FROM setting WHERE key IN ('retention.days', 'clock.guard_ms');
