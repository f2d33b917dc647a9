import { render } from 'preact';
import { App } from './app';
import { store } from './store';

render(<App />, document.getElementById('app')!);
store.start();
