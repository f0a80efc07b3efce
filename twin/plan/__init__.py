"""Plans: schedules of radiotherapy under limits of organs, compared on a patient's draws."""
