-- One check instead of five, read anew at every step.
alter table public.batch_counts
  drop constraint batch_counts_queued_check,
  drop constraint batch_counts_processing_check,
  drop constraint batch_counts_completed_check,
  drop constraint batch_counts_failed_check,
  drop constraint batch_counts_cancelled_check,
  add constraint batch_counts_not_negative
    check (least(queued, processing, completed, failed, cancelled) >= 0);
