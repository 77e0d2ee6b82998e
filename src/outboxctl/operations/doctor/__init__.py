"""`doctor`: examines the database, the sink and the settings; findings with the commands that mend them."""
