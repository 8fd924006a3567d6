// The chat page: brings its parts to life. The markup, and what changes of it, comes from the server.

import { act } from "./actions.js";
import { compose } from "./composer.js";
import { keepEditing } from "./editor.js";
import { offerUndo } from "./notes.js";
import { followAddress, watchEnds } from "./older.js";
import { renaming } from "./rename.js";
import { followEnd } from "./scroll.js";
import { follow } from "./stream.js";
import { browse } from "./threads.js";
import { keepTimes, localise } from "./times.js";
import { markUnread } from "./unread.js";

// A printed link that is opened while signed in must not leave its token in the address.
if (location.hash.startsWith("#token=")) history.replaceState(null, "", location.pathname);

sessionStorage.removeItem("tries"); // see early.js
localise(document);
keepTimes();
act();
compose();
browse();
markUnread();
renaming();
keepEditing();
watchEnds();
followEnd();
followAddress();
follow();
offerUndo();
