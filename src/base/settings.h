/*
 * settings.h
 *		Parameters of the session, set for a while.
 */
#ifndef NBM_SETTINGS_H
#define NBM_SETTINGS_H

extern void nbm_setting_put(const char *name, const char *value);
extern void nbm_setting_pin_path(void);
extern void nbm_setting_pin_strings(void);

#endif							/* NBM_SETTINGS_H */
